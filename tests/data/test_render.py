"""Rows for the eye: the trained tokens bright, all others dim, nothing hidden."""

import io

import pytest
from rich.console import Console

from rlhf.data.chat import encode
from rlhf.data.render import TRAINED, UNTRAINED, render_encoded, render_row, render_tokens
from tests.data.helpers import turns
from tests.tiny import tiny_tokenizer


@pytest.fixture(scope="module")
def tokenizer():
    return tiny_tokenizer()


def printed(part):
    console = Console(width=100, file=io.StringIO())
    console.print(part)
    return console.file.getvalue()


def test_masked_tokens_are_dim_and_special_ones_visible(tokenizer):
    encoded = encode(tokenizer, {"prompt": "Film review:", "completion": " A [red]film[/red]"}, "sft")
    shown = render_encoded(tokenizer, encoded)
    assert shown.plain == "Film review: A [red]film[/red]<|im_end|>"
    styles = [(shown.plain[span.start : span.end], str(span.style)) for span in shown.spans]
    assert [style.startswith(UNTRAINED) for _, style in styles] == [True, False, False]
    assert styles[0][0] == "Film review:"
    assert styles[1] == (" A [red]film[/red]", TRAINED)
    assert styles[2][0] == "<|im_end|>" and "magenta" in styles[2][1]


def test_line_breaks_of_the_template_are_marked(tokenizer):
    shown = render_encoded(tokenizer, encode(tokenizer, {"messages": turns("good", "better")}, "sft"))
    assert "<|im_start|>user⏎\ngood<|im_end|>⏎\n" in shown.plain


@pytest.mark.parametrize(
    ("row", "kind", "titles"),
    [
        ({"prompt": "Q", "chosen": "a", "rejected": "b"}, "preference", ("chosen", "rejected")),
        ({"prompt": "Q", "first": "a", "second": "b", "verdict": "tie"}, "tie", ("first", "second")),
    ],
)
def test_both_responses_of_a_comparison_are_shown(tokenizer, row, kind, titles):
    text = printed(render_tokens(tokenizer, row, kind))
    assert all(title in text for title in titles)
    assert "3 tokens, 2 bright" in text


def test_rows_as_they_stand():
    text = printed(render_row({"messages": turns("Q [b]", "A"), "margin": 0.5}))
    assert "user: Q [b]" in text and "assistant: A" in text and "margin=0.5" in text
