"""Rows of the data contract (docs/data.md) from judged items."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from labeling_app.export.aggregate import Aggregator, Verdict, Vote, pairs, ruled, vote
from labeling_app.export.collect import Judged, Judgement
from rlhf.data.messages import as_reply
from rlhf.data.schema import columns

Row = dict[str, Any]
# Columns that came with an item and would say something else here.
OWN_COLUMNS = {
    *columns("preference"),
    *columns("tie"),
    "item",
    "unsafe",
    "confidence",
    "chosen_model",
    "rejected_model",
}


def comparison_rows(item: Judged, aggregator: Aggregator, source: str) -> Iterator[Row]:
    """A preference or tie row for each pair of the item's candidates."""
    for first, second in pairs(len(item.responses)):
        votes = [vote(one.answer, first, second) for one in item.judgements]
        yield _comparison(item, (first, second), _verdict(item, (first, second), votes, aggregator), source)


def edit_rows(item: Judged, aggregator: Aggregator, source: str, left_out: Counter[str]) -> Iterator[Row]:
    """Of each edit of the response that won: edited above chosen, and edited above rejected."""
    for one in item.judgements:
        if one.answer.edit is None:
            continue
        votes = [vote(other.answer, 0, 1) for other in item.judgements]
        winner = _verdict(item, (0, 1), votes, aggregator).side
        if vote(one.answer, 0, 1).side != winner:
            left_out["edits of a response that did not win"] += 1
            continue
        chosen, rejected = (item.responses[index] for index in ((0, 1) if winner == "first" else (1, 0)))
        edited = as_reply("" if isinstance(chosen, str) else [], one.answer.edit)
        if edited == chosen:
            left_out["edits that change nothing"] += 1
            continue
        for other in (chosen, rejected):
            if edited != other:
                texts = {"chosen": edited, "rejected": other}
                yield {**_prompt(item), **texts, **_who([one]), **_origin(item, f"{source}, edited")}


def safety_rows(item: Judged, source: str) -> Iterator[Row]:
    """A row for each response that somebody marked as unsafe, with how many of those who judged did."""
    marks = _unsafe(item)
    for index, response in enumerate(item.responses):
        if marks[index]:
            yield {
                **_prompt(item),
                "response": response,
                "marked": marks[index],
                "judged": len(item.judgements),
                "label_ids": [one.uid for one in item.judgements if index in (one.answer.unsafe or [])],
                **_origin(item, source),
            }


def label_rows(item: Judged) -> Iterator[Row]:
    """Every judgement as it was given, in stored order, under the annotator's pseudonym."""
    for one in item.judgements:
        yield {
            "id": one.uid,
            "item": item.uid,
            "annotator": one.annotator,
            "answer": one.answer.as_json(),
            "shown_order": one.order,
            "revision": one.revision,
            "guideline_version": one.guideline_version,
            "seconds": round(one.seconds, 3),
            "idle_seconds": round(one.idle_seconds, 3),
            "late": one.late,
            "created_at": one.created_at.isoformat(),
        }


def _verdict(item: Judged, pair: tuple[int, int], votes: Sequence[Vote], aggregator: Aggregator) -> Verdict:
    if item.ruling is not None:
        return ruled(item.ruling.answer, *pair, votes)
    return aggregator.verdict((item.uid, *pair), votes)


def _comparison(item: Judged, pair: tuple[int, int], verdict: Verdict, source: str) -> Row:
    first, second = pair
    if verdict.side in ("tie", "both_bad"):
        texts = {"first": item.responses[first], "second": item.responses[second], "verdict": verdict.side}
        numbers: Row = {"strength": verdict.strength}
    else:
        chosen, rejected = pair if verdict.side == "first" else (second, first)
        texts = {"chosen": item.responses[chosen], "rejected": item.responses[rejected]}
        numbers = {"strength": verdict.strength, "margin": verdict.margin, "agreement": verdict.agreement}
        numbers |= {"confidence": verdict.confidence, **_notes(item, chosen, rejected)}
    numbers = {name: _rounded(value) for name, value in numbers.items() if value is not None}
    return {**_prompt(item), **texts, **numbers, **_judges(item), **_origin(item, source)}


def _notes(item: Judged, chosen: int, rejected: int) -> Row:
    """What made each response, and which of them at least half of the judges marked as unsafe."""
    found: Row = {}
    if item.models is not None:
        found |= {"chosen_model": item.models[chosen], "rejected_model": item.models[rejected]}
    marks, judges = _unsafe(item), len(item.judgements)
    unsafe = [
        name
        for name, index in (("chosen", chosen), ("rejected", rejected))
        if marks[index] and 2 * marks[index] >= judges
    ]
    return found | ({"unsafe": unsafe} if unsafe else {})


def _unsafe(item: Judged) -> Counter[int]:
    return Counter(index for one in item.judgements for index in one.answer.unsafe or [])


def _judges(item: Judged) -> Row:
    """Who is behind the row: the lead alone where they decided."""
    if item.ruling is None:
        return _who(item.judgements)
    ruling = item.ruling
    return {
        "annotators": [ruling.lead],
        "label_ids": [ruling.uid],
        "created_at": ruling.created_at.isoformat(),
        "decided": True,
    }


def _who(judgements: Sequence[Judgement]) -> Row:
    return {
        "annotators": [one.annotator for one in judgements],
        "label_ids": [one.uid for one in judgements],
        "created_at": max(one.created_at for one in judgements).isoformat(),
    }


def _prompt(item: Judged) -> Row:
    return {"prompt": item.prompt} if item.prompt else {}


def _origin(item: Judged, source: str) -> Row:
    """Where the row comes from, and the columns that came with the item."""
    group = {"group": item.further["group"]} if item.further.get("group") else {}
    further = {name: value for name, value in item.further.items() if name not in OWN_COLUMNS}
    return {"source": source, **group, "item": item.uid, **further}


def _rounded(value: Any) -> Any:
    return round(value, 6) if isinstance(value, float) else value
