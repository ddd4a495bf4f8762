"""The contract: what a row may hold, and what is said about one that doesn't."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from rlhf.data.schema import Place, PreferenceRow, Problem, Row, columns, detect_kind
from rlhf.data.validate import check_row
from tests.data.helpers import turns

PREFERENCE = {"prompt": "Q", "chosen": "a", "rejected": "b"}
LABEL = "6f1c2a50-0000-4000-8000-000000000001"


def findings(kind, **fields):
    """The problems of a row as {field: message}."""
    checked = check_row(fields, kind)
    return {} if isinstance(checked, Row) else {problem.field: problem.message for problem in checked}


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("sft", {"prompt": "Q", "completion": "A"}),
        ("sft", {"prompt": turns("Q"), "completion": turns("A", first="assistant")}),
        ("sft", {"messages": turns("Q", "A", "Q", "A")}),
        ("preference", PREFERENCE),
        ("preference", {"chosen": "a", "rejected": "b"}),
        ("preference", {**PREFERENCE, "strength": -2, "margin": 1, "agreement": 0, "label_ids": [LABEL]}),
        ("preference", {**PREFERENCE, "created_at": "2024-05-01T10:00:00+00:00", "annotators": ["x"]}),
        (
            "preference",
            {
                "prompt": turns("Q"),
                "chosen": turns("a", first="assistant"),
                "rejected": turns("b", "c", "d", first="assistant"),
            },
        ),
        ("tie", {"prompt": "Q", "first": "a", "second": "a", "verdict": "tie"}),
        ("tie", {"prompt": "Q", "first": "a", "second": "b", "verdict": "both_bad", "strength": 0}),
        ("prompts", {"prompt": [{"role": "system", "content": "S"}, *turns("Q")]}),
        ("text", {"text": "Some text."}),
    ],
)
def test_sound_rows_pass_and_keep_their_fields(kind, fields):
    checked = check_row({**fields, "extra": {"kept": None}}, kind)
    assert checked == {**fields, "extra": {"kept": None}}
    assert detect_kind(checked) == kind


@pytest.mark.parametrize("margin", [0, -0.5, 1.01, math.nan, math.inf, "0.5", True])
def test_margin_is_a_finite_number_above_zero_and_at_most_one(margin):
    assert "expected" in findings("preference", **PREFERENCE, margin=margin)["margin"]


@pytest.mark.parametrize("agreement", [-0.01, 1.01, math.nan, [0.5]])
def test_agreement_is_a_share(agreement):
    assert "expected" in findings("preference", **PREFERENCE, agreement=agreement)["agreement"]


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_every_margin_outside_the_interval_is_refused(margin):
    assert ("margin" in findings("preference", **PREFERENCE, margin=margin)) == (not 0 < margin <= 1)


@pytest.mark.parametrize("text", ["", "  \n", [], 7, ["x"], [{"role": "user"}], "\ud800"])
def test_a_completion_is_text_that_says_something(text):
    assert "completion" in findings("sft", prompt="Q", completion=text)


def test_a_missing_field_names_what_was_expected_and_what_is_there():
    found = findings("preference", prompt="Q", rejected="b", chossen="a")
    assert found["chosen"].startswith("missing: expected text")
    assert "'chossen'" in found["chosen"]
    assert "kind 'prompts'" in findings("preference", prompt="Q")["chosen"]
    assert findings("sft", prompt="Q")["completion"].startswith("missing")
    assert findings("sft", prompt="Q", completion=None)["completion"].startswith("missing")


def test_equal_responses_and_mixed_forms_are_refused():
    assert "equal to 'chosen'" in findings("preference", prompt="Q", chosen="a", rejected="a")["rejected"]
    assert "one form" in findings("preference", prompt=turns("Q"), chosen="a", rejected="b")["prompt"]


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        (turns("a", "b", first="assistant"), "at the beginning, expected system or user"),
        ([*turns("Q"), *turns("Q")], "after 'user', expected assistant"),
        ([*turns("Q", "A"), {"role": "system", "content": "S"}], "after 'assistant', expected user or tool"),
        ([{"role": "asistant", "content": "x"}], "did you mean 'assistant'?"),
        (turns("Q"), "no turn of the assistant"),
    ],
)
def test_turns_out_of_order_are_refused(messages, said):
    assert said in findings("sft", messages=messages)["messages"]


def test_a_prompt_ends_with_the_user_and_a_completion_begins_with_the_assistant():
    assert "end with the user" in findings("prompts", prompt=turns("Q", "A"))["prompt"]
    assert "expected assistant" in findings("sft", prompt=turns("Q"), completion=turns("A"))["completion"]


def test_tool_calls_need_no_content():
    messages = [*turns("Q"), {"role": "assistant", "tool_calls": [{"name": "f"}]}, {"role": "tool", "content": "1"}]
    assert findings("sft", messages=[*messages, {"role": "assistant", "content": "A"}]) == {}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("label_ids", ["no-uuid"]),
        ("label_ids", [LABEL, LABEL]),
        ("label_ids", LABEL),
        ("annotators", [1]),
        ("created_at", "yesterday"),
        ("created_at", 1714557600),
        ("strength", "much"),
        ("group", 3),
    ],
)
def test_ill_typed_judgements_are_refused(field, value):
    assert list(findings("preference", **PREFERENCE, **{field: value})) == [field]


def test_a_verdict_is_one_of_two():
    assert "'tie' or 'both_bad'" in findings("tie", prompt="Q", first="a", second="b", verdict="draw")["verdict"]


@pytest.mark.parametrize("label", [True, False, "True"])
def test_unpaired_judgements_are_no_fine_tuning_data(label):
    assert "imitates every row" in findings("sft", prompt="Q", completion="A", label=label)["label"]


def test_models_refuse_bad_rows_when_they_are_built():
    with pytest.raises(ValidationError):
        PreferenceRow(chosen="a", rejected="a")
    assert PreferenceRow(chosen="a", rejected="b", margin=0.5).model_dump(exclude_none=True)["margin"] == 0.5


def test_a_problem_reads_as_place_field_and_message():
    problem = Problem(Place("x.jsonl", 3), "chosen", "missing")
    assert str(problem) == "x.jsonl, line 3, field 'chosen': missing"
    assert columns("text") == ("text", "group", "source")
