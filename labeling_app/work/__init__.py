"""What an annotator does: claim an item, answer it, correct an answer. Every verb is one transaction."""
