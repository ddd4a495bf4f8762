"""People: who may come in, with which password, until when; and what leads did."""
