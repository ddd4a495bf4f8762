"""Numbered changes of the tables, applied in order by Alembic; `labeling_app.store.migrate` runs them."""
