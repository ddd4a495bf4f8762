"""The bar at the bottom: one decision. The page's script sends what is pressed here, once the answer is whole."""

from dataclasses import dataclass

import gradio as gr

from labeling_app.answers import LONGEST_TEXT

# elem_id and label with its key, from A to B.
RATINGS = (
    ("rate-a3", "much · 1"),
    ("rate-a2", "clearly · 2"),
    ("rate-a1", "a bit · 3"),
    ("rate-tie", "equal · 4"),
    ("rate-b1", "a bit · 5"),
    ("rate-b2", "clearly · 6"),
    ("rate-b3", "much · 7"),
)
SKIP_REASONS = (
    "the prompt is unclear",
    "I can't judge this subject",
    "the responses are the same",
    "it is not shown properly",
    "I don't want to read this",
)
FURTHER = (
    ("both-bad", "both bad · X"),
    ("skip", "skip · S"),
    ("undo", "undo · U"),
    ("open-history", "history · H"),
    ("open-thread", "ask · T"),
    ("differences", "differences · D"),
    ("keys", "keys · ?"),
)


@dataclass(frozen=True)
class Bar:
    undo: gr.Button
    saved: gr.Markdown


def bar() -> Bar:
    _typed()
    with gr.Column(elem_id="bar"):
        with gr.Row(elem_id="scale"):
            for name, label in RATINGS:
                gr.Button(label, elem_id=name, elem_classes=["rate", name[:6]], min_width=0)
        with gr.Row(elem_id="others"):
            buttons = {name: gr.Button(label, elem_id=name, size="sm", min_width=0) for name, label in FURTHER}
            for name in ("submit", "submit-ranking"):
                gr.Button("submit · Enter", elem_id=name, size="sm", variant="primary", min_width=0)
        with gr.Row(elem_id="reasons"):
            for number, reason in enumerate(SKIP_REASONS, start=1):
                gr.Button(f"{reason} · {number}", elem_id=f"skip-{number}", size="sm", min_width=0)
        saved = gr.Markdown(elem_id="saved")
    return Bar(buttons["undo"], saved)


def _typed() -> None:
    """What is written where a project asks for it. The script shows the fields, and sends what is in them."""
    with gr.Row(elem_id="typed"):
        gr.Textbox(
            label="The better response, edited · E",
            elem_id="edit",
            lines=3,
            max_lines=12,
            max_length=LONGEST_TEXT,
        )
        gr.Textbox(label="Why? · W", elem_id="rationale", lines=1, max_lines=6, max_length=LONGEST_TEXT)
