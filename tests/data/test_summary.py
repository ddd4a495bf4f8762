"""What a data set holds, in counts and in words."""

import io

from rich.console import Console

from rlhf.data.schema import Problem, Row
from rlhf.data.summary import Summary, agreement_histogram, spread
from rlhf.data.summary_view import next_step, summary_tables, warnings
from tests.data.helpers import turns

PAIR = {"prompt": "Q", "chosen": "aaaa", "rejected": "b", "margin": 0.5, "agreement": 0.9}
TIE = {"prompt": "Q", "first": "a", "second": "b", "verdict": "tie"}


def summarize(*rows):
    summary = Summary()
    for row in rows:
        summary.add(Row(row) if isinstance(row, dict) else row)
    return summary


def printed(*parts):
    console = Console(width=100, file=io.StringIO())
    console.print(*parts, sep="\n")
    return console.file.getvalue()


def test_rows_are_counted_by_kind_verdict_and_group():
    summary = summarize(PAIR, PAIR, TIE, [Problem(None, "chosen", "missing"), Problem(None, "margin", "bad")])
    assert summary.kinds == {"preference": 2, "tie": 1}
    assert (summary.rows, summary.bad_rows, summary.repeated) == (4, 1, 1)
    assert summary.verdicts == {"tie": 1}
    assert summary.groups == {"Q"}
    assert summary.characters["chosen"] == [4, 4]
    assert not summary.mixed, "ties stand among comparisons"


def test_lengths_of_conversations_are_those_of_their_contents():
    assert summarize({"messages": turns("abc", "de")}).characters["messages"] == [5]
    assert spread([1, 2, 3, 100]) == (2, 100, 100)
    assert spread([7]) == (7, 7, 7)


def test_every_agreement_falls_into_one_bin():
    values = [0, 0.49, 0.5, 0.55, 0.6, 0.99, 1, 1]
    bins = dict(agreement_histogram(values))
    assert sum(bins.values()) == len(values)
    assert (bins["below 0.5"], bins["0.5 to 0.6"], bins["0.9 to 1.0"]) == (2, 2, 3)


def test_suspicious_data_is_warned_about():
    said = "\n".join(warnings(summarize({**PAIR, "prompt": "Q ", "agrement": 1, "agreement": 0.3}, {"text": "x"})))
    for phrase in ("that end in a space: 1", "'agreement'?", "below 0.5", "different shapes"):
        assert phrase in said
    assert "weigh the same" in "".join(warnings(summarize({"chosen": "a", "rejected": "b"})))
    assert warnings(summarize(PAIR)) == []


def test_the_tables_show_the_counts_and_what_to_do_next():
    summary = summarize(PAIR, TIE)
    text = printed(*summary_tables("x.jsonl", summary))
    for phrase in ("1 preference, 1 tie", "0.9 to 1.0", "median", "mean 0.50"):
        assert phrase in text
    assert "recipes/reward.py --dataset_name x.jsonl" in printed(next_step("x.jsonl", summary))
    assert "own file" in printed(next_step("x.jsonl", summarize(PAIR, {"text": "x"})))
