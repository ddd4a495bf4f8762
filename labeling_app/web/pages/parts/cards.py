"""What is judged: the prompt, and two cards side by side or up to nine to be put in order."""

from dataclasses import dataclass

import gradio as gr

MOST_RANKED = 9


@dataclass(frozen=True)
class Cards:
    """The responses of a comparison, and those of a ranking."""

    prompt: gr.Markdown
    two: list[gr.Markdown]
    many: list[gr.Markdown]


def cards() -> Cards:
    prompt = gr.Markdown(elem_id="prompt", latex_delimiters=[])
    return Cards(prompt, _two(), _many())


def _two() -> list[gr.Markdown]:
    responses = []
    with gr.Row(equal_height=True, elem_id="cards"):
        for letter in "ab":
            with gr.Column(elem_id=f"card-{letter}", elem_classes=["card", f"card-{letter}"], min_width=280):
                gr.Markdown(letter.upper(), elem_classes="letter")
                responses.append(gr.Markdown(elem_id=f"response-{letter}", latex_delimiters=[]))
    return responses


def _many() -> list[gr.Markdown]:
    """Up to nine cards, which the page's script numbers as they are put in order."""
    responses = []
    with gr.Row(elem_id="ranking"):
        for number in range(1, MOST_RANKED + 1):
            with gr.Column(elem_id=f"card-{number}", elem_classes=["card", "place"], min_width=320):
                gr.Button(str(number), elem_id=f"rank-{number}", elem_classes="rank", size="sm", min_width=0)
                responses.append(gr.Markdown(elem_id=f"response-{number}", latex_delimiters=[]))
    return responses
