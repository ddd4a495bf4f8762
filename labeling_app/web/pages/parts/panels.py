"""What opens beside the work: the guidelines, one's own answers, and the thread with the lead."""

from dataclasses import dataclass

import gradio as gr

from labeling_app.answers import LONGEST_TEXT


@dataclass(frozen=True)
class Panels:
    guidelines: gr.Markdown
    agree: gr.Button


def panels() -> Panels:
    with gr.Column(elem_id="panel-guidelines", elem_classes="sheet"):
        guidelines = gr.Markdown(elem_id="guidelines", latex_delimiters=[])
        agree = gr.Button("I have read them, and agree", elem_id="agree", variant="primary")
    with gr.Column(elem_id="panel-history", elem_classes="sheet"):
        gr.Markdown("### Your answers")
        gr.Button("earlier ones", elem_id="more-history", size="sm", min_width=0)
    with gr.Column(elem_id="panel-thread", elem_classes="sheet"):
        gr.Markdown("### Ask the lead about this item")
        gr.Textbox(label="Your question", elem_id="question", lines=2, max_lines=8, max_length=LONGEST_TEXT)
        gr.Button("send · Enter", elem_id="ask", size="sm", variant="primary", min_width=0)
    with gr.Column(elem_id="panel-keys", elem_classes="sheet"):
        gr.Markdown("### Keys")
    return Panels(guidelines, agree)
