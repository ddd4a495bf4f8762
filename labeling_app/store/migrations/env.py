"""Run by Alembic for each command; the connection comes from `labeling_app.store.migrate`."""

from alembic import context

from labeling_app.store.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,  # SQLite changes a table by making it anew
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
