"""Tables, transactions and migrations, on SQLite or PostgreSQL."""

from labeling_app.store.database import Database

__all__ = ["Database"]
