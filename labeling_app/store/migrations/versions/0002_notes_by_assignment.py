"""Notes belong to an assignment: what was written at an item's first showing is not seen when it comes again."""

import sqlalchemy as sa
from alembic import op

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# A thread moves as a whole: to the newest showing that there was when it began, else to the newest one.
TO_ASSIGNMENT = """
UPDATE note SET assignment_id = coalesce(
    (SELECT max(shown.id) FROM assignment AS shown
     WHERE shown.item_id = note.item_id AND shown.user_id = note.annotator_id
       AND shown.claimed_at <= (SELECT min(first.created_at) FROM note AS first
                                WHERE first.item_id = note.item_id AND first.annotator_id = note.annotator_id)),
    (SELECT max(shown.id) FROM assignment AS shown
     WHERE shown.item_id = note.item_id AND shown.user_id = note.annotator_id))
"""
TO_ITEM = "UPDATE note SET item_id = (SELECT item_id FROM assignment WHERE assignment.id = note.assignment_id)"


def upgrade() -> None:
    op.add_column("note", sa.Column("assignment_id", ID, nullable=True))
    op.execute(TO_ASSIGNMENT)
    op.drop_index("note_by_thread", "note")
    with op.batch_alter_table("note") as batch:
        batch.alter_column("assignment_id", existing_type=ID, nullable=False)
        batch.drop_column("item_id")
        batch.create_foreign_key("note_of_assignment", "assignment", ["assignment_id"], ["id"])
    op.create_index("note_by_thread", "note", ["assignment_id", "id"])
    op.create_index("note_by_annotator", "note", ["project_id", "annotator_id"])


def downgrade() -> None:
    op.add_column("note", sa.Column("item_id", ID, nullable=True))
    op.execute(TO_ITEM)
    op.drop_index("note_by_annotator", "note")
    op.drop_index("note_by_thread", "note")
    with op.batch_alter_table("note") as batch:
        batch.alter_column("item_id", existing_type=ID, nullable=False)
        batch.drop_constraint("note_of_assignment", type_="foreignkey")
        batch.drop_column("assignment_id")
        batch.create_foreign_key("note_item_id_fkey", "item", ["item_id"], ["id"])
    op.create_index("note_by_thread", "note", ["project_id", "annotator_id", "item_id", "id"])
