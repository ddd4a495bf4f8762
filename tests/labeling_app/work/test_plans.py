"""A claim must not get slower with items or with own answers: the databases use the indexes that were made for it."""

import json

import pytest
from sqlalchemy import text
from sqlalchemy.dialects import postgresql, sqlite

from labeling_app.store.tables import Item, ItemKind, Member
from labeling_app.work.supply import checks_of, free_items
from tests.labeling_app.made import a_project, people

MEMBER = Member(project_id=1, user_id=1)
QUERIES = {
    "work": free_items(MEMBER).where(Item.position > 5).order_by(Item.position).limit(1),
    "gold": checks_of(MEMBER, ItemKind.gold).order_by(Item.position).limit(1),
}


@pytest.mark.parametrize(("query", "index"), [("work", "item_to_hand_out"), ("gold", "item_to_check")])
def test_the_next_item_is_found_by_its_index_and_what_was_had_by_the_unique_one(database, query, index):
    a_project(database, items=200)
    people(database, 1)
    with database.write() as session:
        if database.is_sqlite:
            compiled = QUERIES[query].compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True})
            plan = str(session.execute(text(f"EXPLAIN QUERY PLAN {compiled}")).all())
        else:
            session.execute(text("SET LOCAL enable_seqscan = off"))  # tables this small are read whole otherwise
            compiled = QUERIES[query].compile(dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True})
            plan = json.dumps(session.execute(text(f"EXPLAIN (FORMAT JSON) {compiled}")).scalar_one())
    assert index in plan and "assignment_once" in plan


def test_the_indexes_apply_whatever_the_values():
    # Their conditions are part of the statement, not bound to it.
    for query, condition in (("work", "item.open_slots > 0 AND item.kind = 'work'"), ("gold", "item.kind <> 'work'")):
        assert condition in str(QUERIES[query])
