"""From the rows of a file to what is judged: a prompt with its candidates, in the order that the store will keep.

Rows of the data contract, in any format that `rlhf.data` reads, become items with two candidates. Rows of our own hold
any number of them:

    {"prompt": …, "responses": [2 … 9], "models": [who made each], "expected": {an answer}, "explanation": "why"}

What people said in a row (who won, how clearly, who judged) is not imported as a label.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from labeling_app.answers import parse
from labeling_app.errors import Refused
from labeling_app.settings import Mode, ProjectSettings
from labeling_app.store.tables import ItemKind
from rlhf.data import Place, Problem
from rlhf.data.formats import to_contract
from rlhf.data.messages import Part, as_reply, conversation_problem, text_problem
from rlhf.data.schema import Kind, detect_kind
from rlhf.data.validate import check_row

LONGEST_CONTENT = 100_000
LONGEST_FURTHER = 20_000
LONGEST_MODEL = 200
CANDIDATES: dict[Mode, tuple[int, int]] = {"comparison": (2, 2), "ranking": (3, 9)}
JUDGEMENT = ("strength", "margin", "agreement", "annotators", "label_ids", "created_at", "verdict")
OURS = ("prompt", "responses", "models", "expected", "explanation")
PACKED = ("responses", "models", "expected")  # a cell of a CSV file holds these as JSON


@dataclass(frozen=True)
class Content:
    """What is judged.

    Attributes:
        prompt: a text or messages; "" or [] where there is none.
        responses: texts or message lists, in stored order.
        models: what made each response.
        expected: `{"answer", "explanation"}` of a gold or qualification item.
        further: the other columns of the row.
        judged: whether the row also held what people had said, which is left out.
    """

    prompt: Any
    responses: list[Any]
    models: list[str] | None
    expected: dict[str, Any] | None
    further: dict[str, Any]
    judged: bool

    @property
    def hash(self) -> str:
        """Tells whether two contents are the same, in whatever order their responses stand."""
        responses = sorted(_canonical(response) for response in self.responses)
        return hashlib.sha256(_canonical([self.prompt, responses]).encode()).hexdigest()


class Reader:
    """Makes the contents of one project's items."""

    def __init__(self, mode: Mode, settings: ProjectSettings, kind: ItemKind):
        self.mode = mode
        # A known answer is only the choice: whatever else is asked for has no right and wrong.
        self.settings = settings.model_copy(update={"rationale": "off", "axes": (), "edit": False})
        self.kind = kind

    def read(self, fields: dict[str, Any], place: Place | None) -> Content | list[Problem]:
        """The content of a row, or all that is wrong with it."""
        try:
            return self._read(fields, place)
        except RecursionError:
            return [Problem(place, "", "lists or objects that are too deep in each other")]

    def _read(self, fields: dict[str, Any], place: Place | None) -> Content | list[Problem]:
        fields = {name: value for name, value in fields.items() if value is not None}
        if "responses" in fields and "fields" not in fields:
            content: Content | list[Problem] = _own_row(fields, place)
        else:
            content = _contract_row(fields, place)
        if isinstance(content, list):
            return content
        found = [*_storable(content), *self._findings(content), *self._expected_findings(content)]
        return [Problem(place, field, message) for field, message in found] or content

    def _findings(self, content: Content) -> list[tuple[str, str]]:
        low, high = CANDIDATES[self.mode]
        count, found = len(content.responses), []
        if not low <= count <= high:
            wanted = f"{low}" if low == high else f"{low} to {high}"
            found.append(("responses", f"{count}: expected {wanted} in a project of mode {self.mode}"))
        texts = [_canonical(response) for response in content.responses]
        if len(set(texts)) < count:
            found.append(("responses", "two are equal: expected different ones"))
        if content.models is not None and not _are_models(content.models, count):
            found.append(("models", f"expected {count} names, each of at most {LONGEST_MODEL} characters"))
        return found

    def _expected_findings(self, content: Content) -> list[tuple[str, str]]:
        if self.kind is ItemKind.work:
            return [("expected", "a known answer: import this as gold or qualification")] if content.expected else []
        if content.expected is None:
            return [("expected", f"missing: a {self.kind} item needs its answer")]
        return self._answer_findings(content.expected["answer"], len(content.responses)) + _explanation_findings(
            content.expected["explanation"]
        )

    def _answer_findings(self, answer: Any, count: int) -> list[tuple[str, str]]:
        if not isinstance(answer, dict):
            return [("expected", 'expected an answer such as {"kind": "choice", "strength": -2}')]
        try:
            parsed = parse(answer, self.settings, self.mode, count)
        except Refused as error:
            return [("expected", problem) for problem in error.problems]
        return [("expected", "a skip is no answer")] if parsed.kind == "skip" else []


def _own_row(fields: dict[str, Any], place: Place | None) -> Content | list[Problem]:
    fields = {name: _unpacked(value) if name in PACKED else value for name, value in fields.items()}
    prompt, responses = fields.get("prompt"), fields["responses"]
    if not isinstance(responses, list):
        return [Problem(place, "responses", f"a {type(responses).__name__}: expected a list")]
    if isinstance(prompt, list):
        responses = [as_reply(prompt, one) if isinstance(one, str) else one for one in responses]
    if found := _text_findings(prompt, responses):
        return [Problem(place, field, message) for field, message in found]
    return _content(fields, prompt, responses, fields.get("models"), OURS)


def _contract_row(fields: dict[str, Any], place: Place | None) -> Content | list[Problem]:
    """Of a preference row, the strength says which candidate was the first; without one it is the chosen one."""
    fields = to_contract(fields)
    kind: Kind = "tie" if detect_kind(fields) == "tie" else "preference"
    if kind == "preference" and not {"chosen", "rejected"} & set(fields):
        there = ", ".join(map(repr, fields)) or "none"
        return [
            Problem(place, "", f"no comparison: expected 'responses', or 'chosen' and 'rejected'; columns: {there}")
        ]
    if kind == "tie":
        fields["verdict"] = "tie"  # whatever it was, or wasn't yet: a task without votes is there to be judged
    row = check_row(fields, kind, place)
    if isinstance(row, list):
        return row
    names = ["first", "second"] if kind == "tie" else ["chosen", "rejected"]
    if kind == "preference" and row.get("strength", 0) > 0:
        names.reverse()
    responses = [row[name] for name in names]
    makers = [f"{name}_model" for name in names]
    models = [row[maker] for maker in makers] if all(maker in row for maker in makers) else None
    return _content(row, row.get("prompt"), responses, models, ("prompt", *names, *makers, "expected", "explanation"))


def _content(fields: dict[str, Any], prompt: Any, responses: list[Any], models: Any, known: Sequence[str]) -> Content:
    further = {name: value for name, value in fields.items() if name not in (*known, *JUDGEMENT)}
    return Content(
        prompt=prompt if prompt is not None else [] if isinstance(responses[0], list) else "",
        responses=responses,
        models=models,
        expected=_expected(fields) if "expected" in fields else None,
        further=json.loads(_canonical(further), parse_constant=lambda name: None),
        judged=bool({*JUDGEMENT, "chosen"} & set(fields)),
    )


def _expected(fields: dict[str, Any]) -> dict[str, Any]:
    """A known answer; its kind may be left out where one field tells it."""
    answer = _unpacked(fields["expected"])
    if isinstance(answer, dict) and "kind" not in answer and len({"strength", "ranks"} & set(answer)) == 1:
        answer = {"kind": "choice" if "strength" in answer else "ranking", **answer}
    return {"answer": answer, "explanation": fields.get("explanation")}


def _text_findings(prompt: Any, responses: list[Any]) -> list[tuple[str, str]]:
    """What is wrong with the texts of a row of our own: each for itself, then their forms, then their turns."""
    if not responses:
        return [("responses", "an empty list: expected at least two")]
    named = [("prompt", "", prompt)] if prompt is not None else []
    named += [("responses", f"response {number}: ", text) for number, text in enumerate(responses, start=1)]
    found = [(field, label + problem) for field, label, text in named if (problem := text_problem(text))]
    if found:
        return found
    if len({isinstance(text, list) for _, _, text in named}) > 1:
        return [("responses", "plain texts beside lists of messages: expected one form, also for the prompt")]
    for field, label, text in named:
        part: Part = "prompt" if field == "prompt" else "messages" if prompt is None else "completion"
        if isinstance(text, list) and (problem := conversation_problem(text, part)):
            found.append((field, label + problem))
    return found


def _storable(content: Content) -> list[tuple[str, str]]:
    """What a database can't take, or what is too long to be read by anybody."""
    found = []
    texts = [("prompt", content.prompt), *(("responses", response) for response in content.responses)]
    for field, text in texts:
        length = len(text) if isinstance(text, str) else len(_canonical(text))
        if length > LONGEST_CONTENT:
            found.append((field, f"a text of {length:,} characters: at most {LONGEST_CONTENT:,} are taken"))
    if len(_canonical(content.further)) > LONGEST_FURTHER:
        found.append(("", f"further columns of more than {LONGEST_FURTHER:,} characters"))
    found += [
        (name, "must be a text") for name in ("group", "source") if not isinstance(content.further.get(name, ""), str)
    ]
    parts = [*texts, ("", content.further), ("expected", content.expected), ("models", content.models)]
    found += [
        (field, "holds a character that can't be stored (NUL, or half of a pair)")
        for field, part in parts
        if any(not _is_storable(text) for text in _strings(part))
    ]
    return found


def _strings(value: Any) -> Iterator[str]:
    """All texts in a value, the names of fields included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for one in value:
            yield from _strings(one)
    elif isinstance(value, dict):
        for name, one in value.items():
            yield str(name)
            yield from _strings(one)


def _is_storable(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _explanation_findings(explanation: Any) -> list[tuple[str, str]]:
    if explanation is None or (isinstance(explanation, str) and len(explanation) <= LONGEST_FURTHER):
        return []
    return [("explanation", f"expected a text of at most {LONGEST_FURTHER:,} characters")]


def _are_models(models: Any, count: int) -> bool:
    return (
        isinstance(models, list)
        and len(models) == count
        and all(isinstance(name, str) and len(name) <= LONGEST_MODEL for name in models)
    )


def _unpacked(value: Any) -> Any:
    """A list or object that stands in a cell of a CSV file as JSON."""
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def _canonical(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
