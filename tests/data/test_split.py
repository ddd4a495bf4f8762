"""Splits: deterministic, by group, stable when data comes in."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlhf.data.split import group_of, is_held_out, split_rows
from rlhf.errors import DataError
from tests.data.helpers import turns

ROWS = [{"prompt": f"prompt {number % 400}", "completion": f"answer {number}"} for number in range(1200)]


def test_no_group_is_on_both_sides_and_nothing_is_lost():
    train, test = split_rows(ROWS, seed=3)
    assert not {row["prompt"] for row in train} & {row["prompt"] for row in test}
    assert sorted(map(str, train + test)) == sorted(map(str, ROWS))
    assert 0.10 < len(test) / len(ROWS) < 0.20


def test_the_split_depends_on_content_and_seed_alone():
    train, test = split_rows(ROWS, seed=1)
    assert [row for row in ROWS if row in test] == test, "rows keep their order"
    again = split_rows(ROWS[::-1], seed=1)[1]
    assert sorted(map(str, again)) == sorted(map(str, test))
    assert split_rows(ROWS, seed=2)[1] != test


def test_a_group_keeps_its_side_when_rows_are_added():
    held = split_rows(ROWS[:600], seed=1)[1]
    later = split_rows(ROWS, seed=1)[1]
    assert all(row in later for row in held)


def test_the_side_of_a_group_is_pinned():
    # Another hash would move every held-out set, so that figures of different versions could not be compared.
    held = [number for number in range(40) if is_held_out(f"group {number}", fraction=0.2, seed=7)]
    assert held == [15, 17, 20]


@given(st.text(), st.integers(), st.floats(0.01, 0.98))
@settings(max_examples=50)
def test_a_larger_share_holds_out_a_superset(group, seed, fraction):
    assert is_held_out(group, fraction=fraction, seed=seed) <= is_held_out(group, fraction=fraction + 0.01, seed=seed)


def test_what_a_group_is():
    assert group_of({"group": "g", "prompt": "Q"}) == "g"
    assert group_of({"prompt": "Q"}) == "Q"
    assert group_of({"prompt": turns("Q")}) == group_of({"messages": turns("Q", "A", "R", "B")})
    assert group_of({"text": "a"}) != group_of({"text": "b"})
    assert group_of({"chosen": "a", "rejected": "b"}) != group_of({"chosen": "a", "rejected": "c"})


def test_one_group_or_an_impossible_share_is_an_error():
    with pytest.raises(DataError, match=r"3 rows in 1 group"):
        split_rows([{"prompt": "Film review:", "completion": str(number)} for number in range(3)])
    with pytest.raises(DataError, match="can't be held out"):
        split_rows(ROWS, fraction=1)
    train, test = split_rows(ROWS, fraction=0.5, key=lambda row: row["completion"])
    assert train and test
