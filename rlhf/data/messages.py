"""Texts and conversations: what a message looks like, and in which order turns make sense."""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, Literal

Part = Literal["messages", "prompt", "completion"]
ROLES = ("system", "user", "assistant", "tool")
# Which roles may follow which; "" is the beginning of a conversation.
FOLLOWS = {
    "": ("system", "user"),
    "system": ("user",),
    "user": ("assistant",),
    "assistant": ("user", "tool"),
    "tool": ("tool", "assistant"),
}


def text_problem(value: object) -> str | None:
    """What is wrong with a text (plain, or a list of messages) taken for itself; None if nothing."""
    if value is None:
        return "missing: expected text, or a list of messages"
    if isinstance(value, str):
        return _string_problem(value)
    if not isinstance(value, list):
        return f"a {type(value).__name__}: expected text, or a list of messages"
    if not value:
        return "an empty list: expected at least one message"
    for number, message in enumerate(value, start=1):
        if problem := _message_problem(message):
            return f"message {number}: {problem}"
    return None


def conversation_problem(messages: Sequence[dict[str, Any]], part: Part) -> str | None:
    """What is wrong with the order of the turns; None if nothing.

    Args:
        messages: messages that `text_problem` found sound. part: a whole conversation, the prompt of one
        (ends before the answer), or the completion (begins with it).
    """
    before = "user" if part == "completion" else ""
    for number, message in enumerate(messages, start=1):
        role = message["role"]
        if role not in FOLLOWS[before]:
            allowed = " or ".join(FOLLOWS[before])
            where = f"after {before!r}" if number > 1 or part == "completion" else "at the beginning"
            return f"message {number}: role {role!r} {where}, expected {allowed}"
        before = role
    if part == "prompt" and before not in ("user", "tool"):
        return f"ends with the role {before!r}: expected a prompt to end with the user's turn"
    if part == "completion" and before != "assistant":
        return f"ends with the role {before!r}: expected a completion to end with the assistant's turn"
    if part == "messages" and not any(message["role"] == "assistant" for message in messages):
        return "no turn of the assistant: nothing to learn from"
    return None


def as_reply(prompt: object, text: str) -> str | list[dict[str, Any]]:
    """A completion in the form of its prompt: plain text, or the assistant's next turn."""
    return text if isinstance(prompt, str) else [{"role": "assistant", "content": text}]


def shared_prefix(first: Sequence[object], second: Sequence[object]) -> int:
    """The number of items (turns, tokens) that two sequences have in common at their beginning."""
    count = 0
    for one, other in zip(first, second, strict=False):
        if one != other:
            break
        count += 1
    return count


def _string_problem(value: str) -> str | None:
    if not value.strip():
        return "empty: expected text"
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        return f"character {error.start + 1} is half of a surrogate pair, not text"
    return None


def _message_problem(message: object) -> str | None:
    if not isinstance(message, dict):
        return f"a {type(message).__name__}: expected an object with 'role' and 'content'"
    role = message.get("role")
    if role not in ROLES:
        near = get_close_matches(str(role), ROLES, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return f"role {role!r}: expected one of {', '.join(ROLES)}{hint}"
    content = message.get("content")
    if content is None and message.get("tool_calls"):
        return None
    if not isinstance(content, str):
        return f"content is {'missing' if content is None else 'a ' + type(content).__name__}: expected text"
    problem = _string_problem(content)
    return f"content {problem}" if problem else None
