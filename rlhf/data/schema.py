"""The data contract: the kinds of rows that every stage reads and writes.

    kind         fields (in brackets: optional)                        read by
    sft          prompt, completion   or   messages                    fine-tuning
    preference   [prompt], chosen, rejected, [judgement]               reward model, DPO
    tie          [prompt], first, second, verdict, [judgement]         evaluation, agreement
    prompts      prompt                                                PPO, sampling, evaluation
    text         text                                                  language modelling, forgetting

Names and shapes are TRL's, so that a file of ours works there and the other way round. A text is either a
plain string or a list of messages `{"role", "content"}`, and the texts of one row are all of one form. Other
columns are kept as they are. This module loads neither torch nor datasets.
"""

import math
from datetime import datetime
from typing import Annotated, Any, Literal, get_args
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from rlhf.data.messages import Part, conversation_problem, text_problem
from rlhf.data.rows import Place, Problem, Row

Kind = Literal["sft", "preference", "tie", "prompts", "text"]
Verdict = Literal["tie", "both_bad"]
Message = dict[str, Any]
KINDS: tuple[Kind, ...] = get_args(Kind)
__all__ = ["KINDS", "MODELS", "Kind", "Place", "Problem", "Row", "Verdict", "columns", "detect_kind"]


def _checked_text(value: object) -> object:
    if problem := text_problem(value):
        raise PydanticCustomError("text", "{problem}", {"problem": problem})
    return value


def _checked_plain_text(value: object) -> object:
    if not isinstance(value, str):
        raise PydanticCustomError("text", "{problem}", {"problem": "expected a string"})
    return _checked_text(value)


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise PydanticCustomError("number", "expected a finite number")
    return value


def _uuid(value: str) -> str:
    try:
        return str(UUID(value))
    except ValueError:
        raise PydanticCustomError("uuid", "expected a UUID such as 6f1c2a50-…") from None


def _moment(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    try:
        return datetime.fromisoformat(value).isoformat()  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise PydanticCustomError("moment", "expected a date and time as ISO 8601 writes it") from None


def _distinct(values: list[str]) -> list[str]:
    if len(set(values)) != len(values):
        raise PydanticCustomError("distinct", "the same id stands twice")
    return values


Text = Annotated[str | list[Message], BeforeValidator(_checked_text)]
Number = Annotated[float, AfterValidator(_finite)]
LabelIds = Annotated[list[Annotated[str, AfterValidator(_uuid)]], AfterValidator(_distinct)]


class ContractRow(BaseModel):
    """What all kinds share. Unknown columns are kept: a reward function may want them."""

    model_config = ConfigDict(extra="allow", strict=True)

    group: Annotated[str | None, Field(description="rows of one group stay on one side of a split")] = None
    source: Annotated[str | None, Field(description="where the row comes from")] = None

    def findings(self) -> list[tuple[str, str]]:
        """What is wrong between the fields, as pairs of field and message."""
        return []

    @model_validator(mode="after")
    def _refuse_findings(self) -> "ContractRow":
        if findings := self.findings():
            raise PydanticCustomError("row", "{count} findings", {"count": len(findings), "findings": findings})
        return self


class Judgement(ContractRow):
    """What people said about two responses to one prompt."""

    prompt: Annotated[Text | None, Field(description="what was asked")] = None
    strength: Annotated[
        Number | None,
        Field(description="what the person said; negative = the first candidate"),
    ] = None
    annotators: Annotated[list[str] | None, Field(description="who judged")] = None
    label_ids: Annotated[LabelIds | None, Field(description="the ids of the single judgements")] = None
    created_at: Annotated[
        Annotated[str, BeforeValidator(_moment)] | None, Field(description="when the last of them was made")
    ] = None


class PreferenceRow(Judgement):
    """A comparison with a winner."""

    chosen: Annotated[Text, Field(description="the response that people prefer")]
    rejected: Annotated[Text, Field(description="the other response")]
    margin: Annotated[
        Number | None, Field(gt=0, le=1, description="|strength| as a share of the largest possible one")
    ] = None
    agreement: Annotated[
        Number | None,
        Field(ge=0, le=1, description="share of raters for the chosen one, ties count half"),
    ] = None

    def findings(self) -> list[tuple[str, str]]:
        found = _shape_findings(prompt=self.prompt, chosen=self.chosen, rejected=self.rejected)
        if not found and self.chosen == self.rejected:
            found.append(("rejected", "equal to 'chosen': expected two different responses"))
        return found


class TieRow(Judgement):
    """A comparison without a winner: both equally good, or both bad."""

    first: Annotated[Text, Field(description="the first stored candidate")]
    second: Annotated[Text, Field(description="the second stored candidate")]
    verdict: Annotated[Verdict, Field(description="'tie' or 'both_bad'")]

    def findings(self) -> list[tuple[str, str]]:
        return _shape_findings(prompt=self.prompt, first=self.first, second=self.second)


class SftRow(ContractRow):
    """An answer to imitate: a prompt with its completion, or a whole conversation."""

    prompt: Annotated[Text | None, Field(description="what was asked")] = None
    completion: Annotated[Text | None, Field(description="the answer to imitate")] = None
    messages: Annotated[list[Message] | None, BeforeValidator(_checked_text), Field(description="a conversation")] = (
        None
    )

    def findings(self) -> list[tuple[str, str]]:
        if str((self.model_extra or {}).get("label")).lower() in ("true", "false"):
            return [
                (
                    "label",
                    "a good/bad label: fine-tuning imitates every row, so keep the good ones without 'label'",
                )
            ]
        if self.messages is not None:
            problem = conversation_problem(self.messages, "messages")
            return [("messages", problem)] if problem else []
        missing = [name for name in ("prompt", "completion") if getattr(self, name) is None]
        if missing:
            return [(name, "missing: expected 'prompt' and 'completion', or 'messages'") for name in missing]
        return _shape_findings(prompt=self.prompt, completion=self.completion)


class PromptRow(ContractRow):
    """A prompt to answer."""

    prompt: Annotated[Text, Field(description="what is asked")]

    def findings(self) -> list[tuple[str, str]]:
        return _shape_findings(prompt=self.prompt)


class TextRow(ContractRow):
    """Running text, as in pretraining."""

    text: Annotated[str, BeforeValidator(_checked_plain_text), Field(description="running text")]


MODELS: dict[Kind, type[ContractRow]] = {
    "sft": SftRow,
    "preference": PreferenceRow,
    "tie": TieRow,
    "prompts": PromptRow,
    "text": TextRow,
}


def columns(kind: Kind) -> tuple[str, ...]:
    """The contract's columns of a kind, texts first."""
    shared = list(ContractRow.model_fields)
    own = [name for name in MODELS[kind].model_fields if name not in shared]
    return (*own, *shared)


def detect_kind(fields: dict[str, Any]) -> Kind | None:
    """The kind that the columns of a row point to, judged by those that aren't null; None if by none."""
    present = {name for name, value in fields.items() if value is not None}
    if "verdict" in present:
        return "tie"
    if present & {"chosen", "rejected"}:
        return "preference"
    if present & {"completion", "messages"}:
        return "sft"
    if "prompt" in present:
        return "prompts"
    return "text" if "text" in present else None


def _shape_findings(**texts: str | list[Message] | None) -> list[tuple[str, str]]:
    """Are the texts all plain or all conversations, with their turns in order?"""
    given = {name: text for name, text in texts.items() if text is not None}
    forms = {name: isinstance(text, list) for name, text in given.items()}
    if len(set(forms.values())) > 1:
        plain, listed = ([name for name, form in forms.items() if form is kind] for kind in (False, True))
        return [
            (
                listed[0],
                f"a list of messages, while {', '.join(map(repr, plain))} is plain text: expected one form",
            )
        ]
    found = []
    for name, text in given.items():
        whole = name != "prompt" and "prompt" not in given
        part: Part = "prompt" if name == "prompt" else "messages" if whole else "completion"
        if isinstance(text, list) and (problem := conversation_problem(text, part)):
            found.append((name, problem))
    return found
