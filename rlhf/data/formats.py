"""Foreign rows turned into rows of the contract, each format told by its columns.

A converter takes the fields of one row and returns the contract's fields, or None where the row isn't of its
format. It changes names and structure, never words: what it makes is validated like any other row, so a
converter needs no errors of its own. Columns that it doesn't know are kept.

    TRL                   prompt/completion, messages, prompt/chosen/rejected, prompt, text      (the contract
    itself) Alpaca                instruction, input, output [system, history]; chosen/rejected instead of
    output ShareGPT              conversations: [{from, value}, …] [system]; chosen/rejected as one turn each
    UltraFeedback         prompt as text, chosen and rejected as whole conversations Anthropic-HH
    chosen and rejected as "\\n\\nHuman: … \\n\\nAssistant: …"       (transcripts.py) Argilla, Label Studio
    exports of pairwise comparisons                                (annotation_tools.py)
"""

from collections.abc import Callable
from typing import Any

from rlhf.data.annotation_tools import from_argilla, from_label_studio
from rlhf.data.messages import shared_prefix
from rlhf.data.transcripts import from_hh

Fields = dict[str, Any]
Converter = Callable[[Fields], Fields | None]
SHAREGPT_ROLES = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bing": "assistant",
    "bard": "assistant",
    "model": "assistant",
    "assistant": "assistant",
    "system": "system",
    "tool": "tool",
    "observation": "tool",
    "function_response": "tool",
}
TEXT_COLUMNS = ("prompt", "completion", "messages", "chosen", "rejected", "first", "second")


def to_contract(fields: Fields) -> Fields:
    """The contract's fields for a row of any known format; rows of unknown format come back as they are."""
    fields = {name: value for name, value in fields.items() if value is not None}
    for _, converter in CONVERTERS:
        if (converted := converter(fields)) is not None:
            fields = converted
            break
    return _split_implicit_prompt(_tidy_messages(fields))


def format_of(fields: Fields) -> str:
    """The name of the format that a row is written in."""
    fields = {name: value for name, value in fields.items() if value is not None}
    return next((name for name, converter in CONVERTERS if converter(fields) is not None), "contract")


def from_alpaca(fields: Fields) -> Fields | None:
    """`instruction` and `input` are the user's turn, joined by a blank line; `output` is the answer."""
    answers = [name for name in ("output", "chosen", "rejected") if name in fields]
    if "instruction" not in fields or not answers or "prompt" in fields:
        return None
    known = {"instruction", "input", "output", "system", "history", "chosen", "rejected"}
    rest = {name: value for name, value in fields.items() if name not in known}
    asked = "\n\n".join(str(fields[name]) for name in ("instruction", "input") if _filled(fields.get(name)))
    prompt = [{"role": "system", "content": fields["system"]}] if _filled(fields.get("system")) else []
    for pair in fields.get("history") or []:
        prompt += _turns(zip(("user", "assistant"), pair, strict=False))
    prompt.append({"role": "user", "content": asked})
    named = {"completion" if name == "output" else name: _answer(fields[name]) for name in answers}
    return {"prompt": prompt, **named, **rest}


def from_sharegpt(fields: Fields) -> Fields | None:
    """`conversations` of {from, value}; with `chosen` and `rejected` it is the prompt of a comparison."""
    turns = fields.get("conversations")
    if not isinstance(turns, list):
        return None
    rest = {name: value for name, value in fields.items() if name not in ("conversations", "system")}
    messages = [_sharegpt_message(turn) for turn in turns]
    if _filled(fields.get("system")):
        messages.insert(0, {"role": "system", "content": fields["system"]})
    if "chosen" not in fields and "rejected" not in fields:
        return {"messages": messages, **rest}
    rest.update({name: _sharegpt_answer(rest[name]) for name in ("chosen", "rejected") if name in rest})
    return {"prompt": messages, **rest}


def from_ultrafeedback(fields: Fields) -> Fields | None:
    """The prompt as text beside two whole conversations: what they share at the beginning is the prompt."""
    chosen, rejected = fields.get("chosen"), fields.get("rejected")
    if not (isinstance(fields.get("prompt"), str) and isinstance(chosen, list) and isinstance(rejected, list)):
        return None
    # Without the prompt, the shared turns are split off as from any comparison; `messages` repeats one side.
    return {name: value for name, value in fields.items() if name not in ("prompt", "messages")}


def from_chat_with_prompt(fields: Fields) -> Fields | None:
    """A whole conversation in `messages` beside its first turn in `prompt` (UltraChat): the former counts."""
    if not ("messages" in fields and "prompt" in fields) or {"chosen", "rejected", "completion"} & set(fields):
        return None
    return {name: value for name, value in fields.items() if name != "prompt"}


CONVERTERS: tuple[tuple[str, Converter], ...] = (
    ("Label Studio", from_label_studio),
    ("Argilla", from_argilla),
    ("Anthropic-HH", from_hh),
    ("ShareGPT", from_sharegpt),
    ("UltraFeedback", from_ultrafeedback),
    ("UltraChat", from_chat_with_prompt),
    ("Alpaca", from_alpaca),
)


def _split_implicit_prompt(fields: Fields) -> Fields:
    """Give a comparison of two whole conversations the prompt they share, as TRL does before training."""
    chosen, rejected = fields.get("chosen"), fields.get("rejected")
    if "prompt" in fields or not (isinstance(chosen, list) and isinstance(rejected, list)):
        return fields
    shared = shared_prefix(chosen, rejected)
    while shared and not _may_end_prompt(chosen[shared - 1]):
        shared -= 1
    if not shared or shared in (len(chosen), len(rejected)):
        return fields
    return {"prompt": chosen[:shared], **fields, "chosen": chosen[shared:], "rejected": rejected[shared:]}


def _may_end_prompt(message: object) -> bool:
    return isinstance(message, dict) and message.get("role") in ("user", "tool")


def _tidy_messages(fields: Fields) -> Fields:
    return {name: _tidy(value) if name in TEXT_COLUMNS else value for name, value in fields.items()}


def _tidy(value: object) -> object:
    """Messages without nulls (Arrow adds them), and their text parts joined to one text."""
    if not isinstance(value, list):
        return value
    return [_tidy_message(message) if isinstance(message, dict) else message for message in value]


def _tidy_message(message: Fields) -> Fields:
    message = {name: value for name, value in message.items() if value is not None}
    parts = message.get("content")
    if isinstance(parts, list) and parts and all(_is_text_part(part) for part in parts):
        message["content"] = "".join(part["text"] for part in parts)
    return message


def _is_text_part(part: object) -> bool:
    return isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str)


def _filled(value: object) -> bool:
    return bool(value.strip()) if isinstance(value, str) else value is not None


def _answer(value: object) -> object:
    return [{"role": "assistant", "content": value}] if isinstance(value, str) else value


def _turns(pairs: Any) -> list[Fields]:
    return [{"role": role, "content": content} for role, content in pairs]


def _sharegpt_answer(value: object) -> object:
    if isinstance(value, dict):
        return [_sharegpt_message(value)]
    return [_sharegpt_message(turn) for turn in value] if isinstance(value, list) else _answer(value)


def _sharegpt_message(turn: object) -> object:
    if not isinstance(turn, dict) or "from" not in turn:
        return turn
    role = str(turn["from"])
    return {"role": SHAREGPT_ROLES.get(role.lower(), role), "content": turn.get("value")}
