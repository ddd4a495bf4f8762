"""What nobody sees: how the page's script and the server talk. It fills `facts` and clicks a button; the server answers
in `state` (the item), `panel` (what opens beside it) or `news` (what came in the meantime)."""

from dataclasses import dataclass

import gradio as gr

HIDDEN = "machinery"
# Each is a verb of the page's script: a button that it clicks.
VERBS = ("send", "send-ranking", "reopen", "draft", "read-guidelines", "read-history", "read-thread", "write", "stay")


@dataclass(frozen=True)
class Machinery:
    facts: gr.Textbox
    state: gr.Textbox
    panel: gr.Textbox
    news: gr.Textbox
    verbs: dict[str, gr.Button]


def machinery() -> Machinery:
    with gr.Column(elem_id="machinery", elem_classes=HIDDEN):
        facts = gr.Textbox("{}", label="facts", elem_id="facts")
        state, panel, news = (
            gr.Textbox(label=name, elem_id=name, interactive=False) for name in ("state", "panel", "news")
        )
        verbs = {name: gr.Button(name, elem_id=f"do-{name}") for name in VERBS}
    return Machinery(facts, state, panel, news, verbs)
