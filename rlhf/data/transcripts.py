"""Anthropic-HH: conversations written as one string, "\\n\\nHuman: …\\n\\nAssistant: …"."""

import re
from typing import Any

from rlhf.data.messages import shared_prefix

SPEAKERS = {"Human": "user", "Assistant": "assistant"}
TURN = re.compile(r"(?:^|\n\n)(Human|Assistant):")


def from_hh(fields: dict[str, Any]) -> dict[str, Any] | None:
    """A comparison of two transcripts; the turns that both begin with become the prompt."""
    if "prompt" in fields or not (is_transcript(fields.get("chosen")) and is_transcript(fields.get("rejected"))):
        return None
    chosen, rejected = parse_transcript(fields["chosen"]), parse_transcript(fields["rejected"])
    shared = shared_prefix(chosen, rejected)
    if shared in (len(chosen), len(rejected)):
        shared -= 1
    while shared and chosen[shared - 1]["role"] != "user":
        shared -= 1
    converted = {**fields, "chosen": chosen[shared:], "rejected": rejected[shared:]}
    return {"prompt": chosen[:shared], **converted} if shared else converted


def is_transcript(value: object) -> bool:
    """Does a text begin with a speaker of the HH data?"""
    return isinstance(value, str) and value.lstrip("\n").startswith(("Human:", "Assistant:"))


def parse_transcript(text: str) -> list[dict[str, Any]]:
    """The turns of a transcript; turns of one speaker that follow each other are joined by a blank line."""
    pieces = TURN.split(text.strip("\n"))
    messages: list[dict[str, Any]] = []
    for speaker, content in zip(pieces[1::2], pieces[2::2], strict=True):
        role, content = SPEAKERS[speaker], content.strip()
        if messages and messages[-1]["role"] == role:
            messages[-1]["content"] = f"{messages[-1]['content']}\n\n{content}".strip()
        else:
            messages.append({"role": role, "content": content})
    return messages
