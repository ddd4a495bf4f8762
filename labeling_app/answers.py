"""What a person says of an item, and how it is turned between the sides that were shown and the order that is stored.

The store knows candidates by their stored order, 0 … n-1; a page shows them in the order that the server drew for the
assignment. `order[position]` is the stored candidate at that position. A browser only ever speaks of positions.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from labeling_app.errors import Refused
from labeling_app.settings import Mode, ProjectSettings

AnswerKind = Literal["choice", "both_bad", "ranking", "skip"]
STRONGEST = 3
LONGEST_TEXT = 20_000

SideText = Annotated[str, Field(max_length=LONGEST_TEXT)]


class Answer(BaseModel):
    """One judgement. Candidates are numbered from 0: by position where a browser speaks, as stored in the store.

    Attributes:
        kind: a choice between two, "both bad", a ranking, or a skip.
        strength: of a choice: -3 … 3, negative for candidate 0, 0 a tie.
        ranks: of a ranking: each candidate's rank from 1, the best; equal ranks tie.
        reason: why it was skipped.
        rationale: the reason of the judgement in words.
        ratings: by axis, one for each candidate.
        edit: the better response, edited.
        unsafe: the candidates that are marked unsafe.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    kind: AnswerKind
    strength: Annotated[int, Field(ge=-STRONGEST, le=STRONGEST)] | None = None
    ranks: Annotated[list[int], Field(min_length=3, max_length=9)] | None = None
    reason: Annotated[str, Field(max_length=500)] | None = None
    rationale: SideText | None = None
    ratings: dict[str, list[int]] | None = None
    edit: SideText | None = None
    unsafe: list[int] | None = None

    @model_validator(mode="after")
    def _what_its_kind_says(self) -> "Answer":
        if (self.kind == "choice") != (self.strength is not None):
            raise ValueError("a choice, and nothing else, has a strength")
        if (self.kind == "ranking") != (self.ranks is not None):
            raise ValueError("a ranking, and nothing else, has ranks")
        if self.kind == "skip" and not (self.reason or "").strip():
            raise ValueError("a skip needs its reason")
        if self.edit is not None and (self.kind != "choice" or self.strength == 0):
            raise ValueError("only the better of two responses is edited")
        return self

    def reordered(self, order: Sequence[int]) -> "Answer":
        """The same judgement with what stands at position i said of candidate `order[i]`."""
        changed: dict[str, Any] = {}
        if self.strength is not None and len(order) == 2 and order[0] == 1:
            changed["strength"] = -self.strength
        if self.ranks is not None:
            changed["ranks"] = _moved(self.ranks, order)
        if self.ratings is not None:
            changed["ratings"] = {axis: _moved(numbers, order) for axis, numbers in self.ratings.items()}
        if self.unsafe is not None:
            changed["unsafe"] = sorted(order[position] for position in self.unsafe)
        return self.model_copy(update=changed)

    def as_json(self) -> dict[str, Any]:
        """What was said, without the fields that say nothing."""
        return self.model_dump(exclude_none=True)


def side(strength: int) -> int:
    """-1 for candidate 0, 1 for candidate 1, 0 for a tie, however strong."""
    return (strength > 0) - (strength < 0)


def to_stored(shown: Answer, order: Sequence[int]) -> Answer:
    """A judgement of positions as one of stored candidates."""
    return shown.reordered(order)


def to_shown(stored: Answer, order: Sequence[int]) -> Answer:
    """A judgement of stored candidates as one of the positions of a page."""
    return stored.reordered([order.index(candidate) for candidate in range(len(order))])


def says(fields: dict[str, Any], stored: dict[str, Any], order: Sequence[int]) -> bool:
    """Whether what came from outside is what was stored before, whatever the project asks for by now."""
    try:
        return to_stored(Answer.model_validate(fields), order).as_json() == stored
    except (ValueError, IndexError):  # no answer, or of other candidates
        return False


def parse(fields: dict[str, Any], settings: ProjectSettings, mode: Mode, candidates: int) -> Answer:
    """What came from outside as an answer that this project accepts.

    Raises:
        Refused: something is missing, unknown, too long or out of range; every finding is listed.
    """
    try:
        answer = Answer.model_validate(fields)
    except ValidationError as error:
        raise _refused(
            [f"{'.'.join(map(str, one['loc'])) or 'answer'}: {one['msg']}" for one in error.errors()]
        ) from None
    if problems := _problems(answer, settings, mode, candidates):
        raise _refused(problems)
    return answer


def _refused(problems: Sequence[str]) -> Refused:
    # What a page doesn't show can't be completed there: it shows what was asked for when it was loaded.
    remedy = "complete or correct it, and send it again; load the page again where the settings have changed."
    return Refused("This answer can't be stored.", problems=problems, remedy=remedy)


def _moved(numbers: Sequence[int], order: Sequence[int]) -> list[int]:
    by_candidate = dict(zip(order, numbers, strict=True))
    return [by_candidate[candidate] for candidate in range(len(order))]


def _problems(answer: Answer, settings: ProjectSettings, mode: Mode, candidates: int) -> list[str]:
    """What this project doesn't ask for, or misses."""
    if answer.kind == "skip":
        return []
    found = []
    if (answer.kind == "ranking") != (mode == "ranking"):
        found.append(f"kind: a {answer.kind} in a project of mode {mode}")
    if answer.ranks is not None and not _is_ranking(answer.ranks, candidates):
        found.append(f"ranks: expected a rank from 1 on for each of {candidates} responses, equal ones for ties")
    if settings.rationale == "required" and not (answer.rationale or "").strip():
        found.append("rationale: this project asks for one")
    if settings.rationale == "off" and answer.rationale:
        found.append("rationale: this project doesn't ask for one")
    if answer.edit is not None and not (settings.edit and answer.edit.strip()):
        found.append("edit: empty, or this project doesn't ask for one")
    if answer.unsafe is not None and not (
        settings.safety_flag
        and set(answer.unsafe) <= set(range(candidates))
        and len(set(answer.unsafe)) == len(answer.unsafe)
    ):
        found.append("unsafe: no such response, or this project doesn't ask for it")
    return found + _rating_problems(answer, settings, candidates)


def _rating_problems(answer: Answer, settings: ProjectSettings, candidates: int) -> list[str]:
    axes = {axis.name: axis for axis in settings.axes}
    given = answer.ratings or {}
    found = [f"ratings: there is no axis {name!r}" for name in given if name not in axes]
    for name, axis in axes.items():
        numbers = given.get(name, [])
        if len(numbers) != candidates or not all(axis.low <= number <= axis.high for number in numbers):
            found.append(f"ratings: {name}: expected {candidates} from {axis.low} to {axis.high}")
    return found


def _is_ranking(ranks: Sequence[int], candidates: int) -> bool:
    """Ranks as in sport: after two that tie for the first place comes the third."""
    return len(ranks) == candidates and all(rank == 1 + sum(other < rank for other in ranks) for rank in ranks)
