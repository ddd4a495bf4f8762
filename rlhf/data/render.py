"""Rows for the eye: what a model sees of them, trained tokens bright, the others dim, special tokens visible."""

from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.text import Text

from rlhf.data.chat import Encoded, Tokenizer, encode, encode_pair
from rlhf.data.schema import Kind

TRAINED = "bold green"
UNTRAINED = "dim"
SPECIAL = "magenta"
LINE_BREAK = "⏎\n"
ROLE_STYLES = {"system": "yellow", "user": "cyan", "assistant": "green", "tool": "blue"}
PAIR_TITLES = (("chosen", "rejected"), ("first", "second"))


def render_encoded(tokenizer: Tokenizer, encoded: Encoded) -> Text:
    """The tokens as text; line breaks are shown as ⏎, since a template's belong to the tokens."""
    special = set(getattr(tokenizer, "all_special_ids", ()))
    shown = Text()
    marked = zip(encoded.input_ids, encoded.completion_mask, strict=True)
    for (trained, is_special), run in groupby(marked, key=lambda item: (item[1], item[0] in special)):
        words = str(tokenizer.decode([token for token, _ in run], skip_special_tokens=False))
        style = TRAINED if trained else UNTRAINED
        shown.append(words.replace("\n", LINE_BREAK), style=f"{style} {SPECIAL}" if is_special else style)
    return shown


def render_tokens(tokenizer: Tokenizer, row: Mapping[str, Any], kind: Kind) -> RenderableType:
    """A row as the model sees it; of a comparison, both responses."""
    if kind not in ("preference", "tie"):
        return _panel("", tokenizer, encode(tokenizer, row, kind))
    titles = PAIR_TITLES[kind == "tie"]
    pair = encode_pair(tokenizer, row)
    return Group(*(_panel(title, tokenizer, one) for title, one in zip(titles, pair, strict=True)))


def render_row(row: Mapping[str, Any]) -> RenderableType:
    """A row as it stands in the data: its texts by name and role, and below them what else it says."""
    texts = ("prompt", "completion", "messages", "chosen", "rejected", "first", "second", "text")
    parts = [part for name in texts if row.get(name) is not None for part in _text_lines(name, row[name])]
    rest = {name: value for name, value in row.items() if name not in texts}
    if rest:
        parts.append(Text("  ".join(f"{name}={value}" for name, value in rest.items()), style="dim"))
    return Group(*parts)


def _panel(title: str, tokenizer: Tokenizer, encoded: Encoded) -> Panel:
    trained = sum(encoded.completion_mask)
    counts = f"{len(encoded.input_ids):,} tokens, {trained:,} bright"
    return Panel(render_encoded(tokenizer, encoded), title=title or None, subtitle=counts, subtitle_align="right")


def _text_lines(name: str, text: object) -> Iterator[Text]:
    if isinstance(text, list):
        yield Text(name, style="bold")
        for message in text:
            role = str(message["role"])
            content = message.get("content") or message.get("tool_calls")
            yield Text.assemble(f"  {role}: ", (str(content), ROLE_STYLES.get(role, "")))
    else:
        yield Text.assemble((f"{name}: ", "bold"), str(text))
