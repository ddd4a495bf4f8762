"""Pairwise comparisons as Label Studio and Argilla export them: one item with the votes of several people.

The votes of an item become one row: a comparison with the winner of the votes, or a tie where neither side
wins. `agreement` is the winner's share with ties counted half. These tools record no strength, so none is
made up.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

Fields = dict[str, Any]
RESPONSE = re.compile(r"^(response|answer|completion|generation|output|candidate|text)[-_ ]?(a|b|1|2)$", re.IGNORECASE)
PROMPTS = ("prompt", "instruction", "question", "input")
FIRST = {"left", "first", "a", "1"}
SECOND = {"right", "second", "b", "2"}
BOTH_BAD = {"both_bad", "both bad", "neither", "none"}
TIES = {"tie", "equal", "same", "both", "draw", "both_good", "both good"}


@dataclass
class Votes:
    """The votes on one item, each "first", "second", "tie", "both_bad", or "" where it isn't understood."""

    choices: list[str] = field(default_factory=list)
    annotators: list[str] = field(default_factory=list)
    label_ids: list[str] = field(default_factory=list)
    moments: list[str] = field(default_factory=list)


def from_votes(prompt: object, pair: tuple[object, object], votes: Votes, rest: Fields) -> Fields:
    """One row of the contract from the votes on a pair.

    Without a vote that counts, the row has the candidates but no verdict, which validation reports.
    """
    count = Counter(votes.choices)
    first, second, even = count["first"], count["second"], count["tie"] + count["both_bad"]
    base = {"prompt": prompt} if prompt is not None else {}
    said = {
        "annotators": votes.annotators,
        "label_ids": votes.label_ids,
        "created_at": max(votes.moments, default=None),
    }
    said = {name: value for name, value in said.items() if value}
    if count[""] or not votes.choices:
        return {
            **base,
            "first": pair[0],
            "second": pair[1],
            "verdict": "no vote that is understood",
            **rest,
            **said,
        }
    if first == second or even > first + second:
        verdict = "both_bad" if count["both_bad"] > count["tie"] else "tie"
        return {**base, "first": pair[0], "second": pair[1], "verdict": verdict, **rest, **said}
    chosen, rejected = pair if first > second else pair[::-1]
    agreement = (max(first, second) + even / 2) / len(votes.choices)
    return {**base, "chosen": chosen, "rejected": rejected, "agreement": agreement, **rest, **said}


def from_label_studio(fields: Fields) -> Fields | None:
    """A task of a Label Studio export (JSON): a prompt and two texts in `data`, pairwise `annotations`."""
    data, annotations = fields.get("data"), fields.get("annotations")
    if not isinstance(data, dict) or not isinstance(annotations, list):
        return None
    names = _named_pair(annotations) or _response_names(data)
    if names is None or not all(name in data for name in names):
        return None
    votes = Votes()
    for annotation in annotations:
        if not annotation.get("was_cancelled"):
            _add_label_studio_vote(votes, annotation, names)
    prompt = next((data[name] for name in PROMPTS if name in data), None)
    return from_votes(prompt, (data[names[0]], data[names[1]]), votes, {"source": "label-studio"})


def from_argilla(fields: Fields) -> Fields | None:
    """A record of Argilla: nested (`fields`, `responses`), or flat with `<question>.responses` columns."""
    nested = isinstance(fields.get("fields"), dict) and isinstance(fields.get("responses"), dict)
    texts = fields["fields"] if nested else fields
    names = _response_names(texts)
    answers = _argilla_answers(fields["responses"] if nested else _unflatten(fields))
    if names is None or answers is None:
        return None
    votes = Votes()
    for answer in answers:
        if answer.get("status", "submitted") == "submitted":
            votes.choices.append(_choice(answer.get("value"), names))
            votes.annotators += [str(answer["user_id"])] if answer.get("user_id") else []
    prompt = next((texts[name] for name in PROMPTS if name in texts), None)
    return from_votes(prompt, (texts[names[0]], texts[names[1]]), votes, {"source": "argilla"})


def _add_label_studio_vote(votes: Votes, annotation: Fields, names: Sequence[str]) -> None:
    results = [result for result in annotation.get("result") or [] if result.get("type") in ("pairwise", "choices")]
    value = results[0].get("value", {}) if results else {}
    choices = value.get("choices") or [value.get("selected")]
    votes.choices.append(_choice(choices[0], names))
    who = annotation.get("completed_by")
    who = who.get("email") or who.get("id") if isinstance(who, dict) else who
    votes.annotators += [str(who)] if who is not None else []
    if _is_uuid(annotation.get("unique_id")):
        votes.label_ids.append(annotation["unique_id"])
    votes.moments += [annotation["created_at"]] if annotation.get("created_at") else []


def _named_pair(annotations: list[Fields]) -> tuple[str, str] | None:
    """The two texts that a pairwise result names in `to_name`; the left one comes first."""
    for annotation in annotations:
        for result in annotation.get("result") or []:
            names = [name.strip() for name in str(result.get("to_name", "")).split(",")]
            if result.get("type") == "pairwise" and len(names) == 2:
                return names[0], names[1]
    return None


def _response_names(texts: Fields) -> tuple[str, str] | None:
    """The two columns whose names differ only in a/b or 1/2."""
    names = sorted(name for name in texts if RESPONSE.match(name))
    return (names[0], names[1]) if len(names) == 2 else None


def _argilla_answers(responses: Fields) -> list[Fields] | None:
    """The answers to the question about preference: the one so named, or the only one."""
    named = [name for name in responses if re.search(r"prefer|rank|best|compar|choice", name, re.IGNORECASE)]
    name = named[0] if named else next(iter(responses), None) if len(responses) == 1 else None
    answers = responses.get(name) if name is not None else None
    return answers if isinstance(answers, list) and all(isinstance(answer, dict) for answer in answers) else None


def _unflatten(fields: Fields) -> Fields:
    """`q.responses`, `q.responses.users`, `q.responses.status` of a flat export as answers by question."""
    responses: Fields = {}
    for name, values in fields.items():
        if not name.endswith(".responses") or not isinstance(values, list):
            continue
        users = fields.get(f"{name}.users") or [None] * len(values)
        states = fields.get(f"{name}.status") or ["submitted"] * len(values)
        keys = ("value", "user_id", "status")
        answers = [dict(zip(keys, answer, strict=True)) for answer in zip(values, users, states, strict=False)]
        responses[name.removesuffix(".responses")] = answers
    return responses


def _choice(value: object, names: Sequence[str]) -> str:
    """What a vote says about the pair; a ranking counts by the two ranks."""
    if isinstance(value, list) and all(isinstance(item, dict) for item in value):
        ranks = {item.get("value"): item.get("rank") for item in value}
        first, second = (ranks.get(name) for name in names)
        if not isinstance(first, int) or not isinstance(second, int):
            return ""
        return "tie" if first == second else "first" if first < second else "second"
    if value is None:
        return ""
    said = str(value).strip().lower()
    for choice, words in (("first", FIRST | {names[0].lower()}), ("second", SECOND | {names[1].lower()})):
        if said in words:
            return choice
    return "both_bad" if said in BOTH_BAD else "tie" if said in TIES else ""


def _is_uuid(value: object) -> bool:
    try:
        UUID(str(value))
    except ValueError:
        return False
    return True
