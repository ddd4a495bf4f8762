"""A lead closes a thread; what is written after that opens it again."""

import sqlalchemy as sa
from alembic import op

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "thread_closing",
        sa.Column("assignment_id", ID, sa.ForeignKey("assignment.id"), primary_key=True, autoincrement=False),
        sa.Column("note_id", ID, sa.ForeignKey("note.id"), nullable=False),
        sa.Column("closed_by", ID, sa.ForeignKey("user_account.id"), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("thread_closing")
