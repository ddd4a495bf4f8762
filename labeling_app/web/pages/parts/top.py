"""The line on top: which project, how far it is, and what can be opened."""

from dataclasses import dataclass

import gradio as gr


@dataclass(frozen=True)
class Top:
    project: gr.Dropdown
    progress: gr.Markdown


def top() -> Top:
    with gr.Row(elem_id="top"):
        project = gr.Dropdown(label="Project", show_label=False, container=False, elem_id="project", scale=2)
        progress = gr.Markdown(elem_id="progress", container=False)
        gr.Button("guidelines · G", elem_id="open-guidelines", size="sm", min_width=0)
        gr.Button("lead's pages", elem_id="open-lead", size="sm", min_width=0)
        gr.Button("log out", elem_id="log-out", size="sm", min_width=0)
    return Top(project, progress)
