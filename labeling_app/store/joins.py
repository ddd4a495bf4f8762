"""Joins that are used in several places."""

from sqlalchemy import and_

from labeling_app.store.tables import Assignment, Label

# Joins the label that counts with its assignment; by the latter's key, as there is no index of the former's.
NEWEST = and_(Assignment.id == Label.assignment_id, Assignment.label_id == Label.id)
