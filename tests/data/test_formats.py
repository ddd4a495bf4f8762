"""Foreign rows: each format told by its columns, and turned into the contract."""

import pytest

from rlhf.data.formats import format_of, to_contract
from rlhf.data.schema import Row, detect_kind
from rlhf.data.validate import check_row
from tests.data.helpers import turns

HH = "\n\nHuman: Hi\n\nAssistant: Hello\n\nHuman: More?\n\nAssistant:"
USER = "6f1c2a50-0000-4000-8000-00000000000"


def user(content):
    return [{"role": "user", "content": content}]


def assistant(content):
    return [{"role": "assistant", "content": content}]


CASES = {
    "contract": ({"prompt": "Q", "completion": "A"}, {"prompt": "Q", "completion": "A"}),
    "Alpaca": (
        {"instruction": "Add.", "input": "1 2", "output": "3", "id": 7},
        {"prompt": user("Add.\n\n1 2"), "completion": assistant("3"), "id": 7},
    ),
    "Alpaca ": (
        {"instruction": "Now?", "input": "", "output": "A", "system": "S", "history": [["q", "a"]]},
        {
            "prompt": [{"role": "system", "content": "S"}, *turns("q", "a", "Now?")],
            "completion": assistant("A"),
        },
    ),
    "Alpaca  ": (
        {"instruction": "Q", "chosen": "a", "rejected": "b"},
        {"prompt": user("Q"), "chosen": assistant("a"), "rejected": assistant("b")},
    ),
    "ShareGPT": (
        {"conversations": [{"from": "human", "value": "Q"}, {"from": "gpt", "value": "A"}], "system": "S"},
        {"messages": [{"role": "system", "content": "S"}, *turns("Q", "A")]},
    ),
    "ShareGPT ": (
        {
            "conversations": [{"from": "human", "value": "Q"}],
            "chosen": {"from": "gpt", "value": "a"},
            "rejected": {"from": "gpt", "value": "b"},
        },
        {"prompt": user("Q"), "chosen": assistant("a"), "rejected": assistant("b")},
    ),
    "Anthropic-HH": (
        {"chosen": f"{HH} Yes.", "rejected": f"{HH} No."},
        {"prompt": turns("Hi", "Hello", "More?"), "chosen": assistant("Yes."), "rejected": assistant("No.")},
    ),
    "UltraFeedback": (
        {
            "prompt": "Q",
            "chosen": turns("Q", "a"),
            "rejected": turns("Q", "b"),
            "messages": turns("Q", "a"),
            "score_chosen": 8.5,
        },
        {"prompt": user("Q"), "chosen": assistant("a"), "rejected": assistant("b"), "score_chosen": 8.5},
    ),
    "UltraChat": ({"prompt": "Q", "messages": turns("Q", "A")}, {"messages": turns("Q", "A")}),
    "Label Studio": (
        {
            "id": 1,
            "data": {"prompt": "Q", "answer1": "a", "answer2": "b"},
            "annotations": [
                {
                    "unique_id": f"{USER}{at}",
                    "completed_by": at,
                    "created_at": f"2024-05-0{at}T00:00:00Z",
                    "was_cancelled": at == 4,
                    "result": [{"type": "pairwise", "to_name": "answer1,answer2", "value": {"selected": side}}],
                }
                for at, side in enumerate(("right", "right", "left", "left"), start=1)
            ],
        },
        {
            "prompt": "Q",
            "chosen": "b",
            "rejected": "a",
            "agreement": 2 / 3,
            "source": "label-studio",
            "annotators": ["1", "2", "3"],
            "label_ids": [f"{USER}1", f"{USER}2", f"{USER}3"],
            "created_at": "2024-05-03T00:00:00Z",
        },
    ),
    "Argilla": (
        {
            "id": USER,
            "fields": {"instruction": "Q", "response_a": "a", "response_b": "b"},
            "responses": {"preference": [{"value": "A", "user_id": "u1"}, {"value": "tie", "user_id": "u2"}]},
        },
        {
            "prompt": "Q",
            "chosen": "a",
            "rejected": "b",
            "agreement": 0.75,
            "source": "argilla",
            "annotators": ["u1", "u2"],
        },
    ),
    "Argilla ": (
        {
            "prompt": "Q",
            "response-1": "a",
            "response-2": "b",
            "preference.responses": [
                [{"rank": 2, "value": "response-1"}, {"rank": 1, "value": "response-2"}],
                [{"rank": 1, "value": "response-1"}, {"rank": 2, "value": "response-2"}],
            ],
            "preference.responses.users": ["u1", "u2"],
            "preference.responses.status": ["submitted", "discarded"],
        },
        {"prompt": "Q", "chosen": "b", "rejected": "a", "agreement": 1.0, "source": "argilla", "annotators": ["u1"]},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_each_format_is_told_and_converted_to_a_sound_row(name):
    foreign, expected = CASES[name]
    assert format_of(foreign) == name.strip()
    assert to_contract(foreign) == expected
    kind = detect_kind(expected)
    assert isinstance(check_row(expected, kind), Row)
    # What is in the contract's form already stays as it is.
    assert to_contract(expected) == expected


def test_hh_transcripts_that_differ_before_the_last_turn():
    row = to_contract(
        {
            "chosen": "\n\nHuman: Hi\n\nAssistant: a\n\nHuman: x\n\nAssistant: c",
            "rejected": "\n\nHuman: Hi\n\nAssistant: b",
        }
    )
    assert row["prompt"] == user("Hi")
    assert [turn["content"] for turn in row["chosen"]] == ["a", "x", "c"]
    assert isinstance(check_row(row, "preference"), Row)


def test_hh_answers_that_are_empty_or_equal_are_found_not_dropped():
    empty = check_row(to_contract({"chosen": f"{HH} Yes.", "rejected": HH}), "preference")
    assert "empty" in empty[0].message
    equal = check_row(to_contract({"chosen": f"{HH} Yes.", "rejected": f"{HH} Yes."}), "preference")
    assert "equal to 'chosen'" in equal[0].message


def test_hh_turns_of_one_speaker_are_joined():
    row = to_contract(
        {
            "chosen": "\n\nHuman: a\n\nHuman: b\n\nAssistant: c: \n\nAssistant like",
            "rejected": "\n\nHuman: a\n\nHuman: b\n\nAssistant: d",
        }
    )
    assert row["prompt"] == user("a\n\nb")
    assert row["chosen"] == assistant("c: \n\nAssistant like")


@pytest.mark.parametrize(
    ("sides", "verdict"), [("left right", "tie"), ("tie tie left", "tie"), ("neither neither left", "both_bad")]
)
def test_votes_without_a_winner_are_ties(sides, verdict):
    answers = [{"value": side} for side in sides.split()]
    row = to_contract({"fields": {"prompt": "Q", "response_1": "a", "response_2": "b"}, "responses": {"best": answers}})
    assert (row["verdict"], row["first"], row["second"]) == (verdict, "a", "b")
    assert isinstance(check_row(row, "tie"), Row)


@pytest.mark.parametrize("answers", [[], [{"value": "purple"}], [{"value": "A", "status": "draft"}]])
def test_items_without_a_vote_are_bad_rows(answers):
    row = to_contract({"fields": {"prompt": "Q", "response_1": "a", "response_2": "b"}, "responses": {"best": answers}})
    assert check_row(row, "tie")[0].field == "verdict"


def test_nulls_and_text_parts_inside_messages_are_tidied():
    message = {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "name": None}
    assert to_contract({"prompt": [message], "margin": None}) == {"prompt": user("ab")}


@pytest.mark.parametrize(
    "hostile",
    [
        {"conversations": "text"},
        {"conversations": [7, None]},
        {"instruction": 1, "output": None, "chosen": 3},
        {"instruction": "x", "output": "y", "history": [["q"]]},
        {"chosen": ["x"], "rejected": [None]},
        {"chosen": [], "rejected": []},
        {"prompt": [None], "chosen": {"a": None}},
        {"data": {}, "annotations": [{}]},
        {"data": {"text1": "a", "text2": "b"}, "annotations": [{"result": None}]},
        {"fields": {}, "responses": {}},
        {"x.responses": [None], "response_a": "a", "response_b": "b"},
        {"messages": "text"},
    ],
)
def test_hostile_rows_raise_nothing_and_are_found(hostile):
    row = to_contract(hostile)
    assert isinstance(check_row(row, detect_kind(row) or "sft"), list)
