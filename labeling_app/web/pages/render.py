"""Texts of prompts and responses as HTML that can do nothing.

Markdown is rendered here, without raw HTML: what looks like a tag stays text, so that no script, form, style or id of a
response reaches the page. Images are named and not loaded: a remote one would tell its host the annotator's address.
"""

from collections.abc import Sequence
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

from labeling_app.web.pages.code import code_html

LONGEST_SHOWN = 60_000
DEEPEST = 20
SPEAKERS = {"system": "System", "user": "You", "assistant": "Model", "tool": "Tool"}


def _image(self: RendererHTML, tokens: Sequence[Token], number: int, options: OptionsDict, env: EnvType) -> str:
    text = str(self.renderInlineAsText(tokens[number].children or [], options, env))
    return f"<em>[image{': ' if text else ''}{text}]</em>"


def _link_open(self: RendererHTML, tokens: Sequence[Token], number: int, options: OptionsDict, env: EnvType) -> str:
    # Opened elsewhere, and told nothing; only web addresses are links.
    address = str(tokens[number].attrGet("href") or "")
    if not address.startswith(("https://", "http://")):
        return "<a>"
    tokens[number].attrs.update({"target": "_blank", "rel": "noopener noreferrer nofollow"})
    return str(self.renderToken(tokens, number, options, env))


def _markdown() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "maxNesting": DEEPEST, "highlight": code_html}).enable("table")
    parser.add_render_rule("image", _image)
    parser.add_render_rule("link_open", _link_open)
    return parser


MARKDOWN = _markdown()


def text_html(text: str, item: str = "") -> str:
    """A text as a block for `gr.Markdown`, which takes HTML on one line as it is.

    Args:
        item: of which it is: the page waits until it has drawn all texts of the item.
    """
    shown = text[:LONGEST_SHOWN]
    html = str(MARKDOWN.render(shown))
    if len(text) > LONGEST_SHOWN:
        html += f"<p><em>… {len(text) - LONGEST_SHOWN:,} further characters are not shown.</em></p>"
    return f'<div class="text{of(item)}" dir="auto">' + html.strip().replace("\n", "&#10;") + "</div>"


def of(item: str) -> str:
    """The class by which the page's script knows of which item a text is."""
    return f" of-{item}" if item else ""


def prompt_html(prompt: Any, item: str = "") -> str:
    """A prompt: a text, or the turns of a conversation, older ones folded."""
    if isinstance(prompt, str):
        return _turn("user", prompt, item)
    if not prompt:
        return f'<div class="text{of(item)}"></div>'
    turns = [_turn(str(turn.get("role", "user")), _content(turn), item) for turn in prompt]
    if len(turns) <= 2:
        return "".join(turns)
    before, count = "".join(turns[:-1]), len(turns) - 1
    return f'<details class="earlier"><summary>{count} earlier turns · P</summary>{before}</details>{turns[-1]}'


def response_html(response: Any, item: str = "") -> str:
    """A response: a text, or the turns that it consists of."""
    if isinstance(response, str):
        return text_html(response, item)
    return "".join(text_html(_content(turn), item) for turn in response)


def plain(response: Any) -> str:
    """The words of a response, to count them."""
    return response if isinstance(response, str) else "\n".join(_content(turn) for turn in response)


def _turn(role: str, text: str, item: str) -> str:
    speaker = role if role in SPEAKERS else "user"
    return f'<div class="turn turn-{speaker}"><span>{SPEAKERS[speaker]}</span>{text_html(text, item)}</div>'


def _content(turn: dict[str, Any]) -> str:
    content = turn.get("content", "")
    return content if isinstance(content, str) else str(content)
