"""The labeling page: its parts put together. `events` says what happens."""

from dataclasses import dataclass

import gradio as gr

from labeling_app.web.pages.parts.bar import Bar, bar
from labeling_app.web.pages.parts.cards import Cards, cards
from labeling_app.web.pages.parts.machinery import Machinery, machinery
from labeling_app.web.pages.parts.panels import Panels, panels
from labeling_app.web.pages.parts.top import Top, top


@dataclass(frozen=True)
class Page:
    """The components of the page."""

    top: Top
    again: gr.Button
    cards: Cards
    bar: Bar
    panels: Panels
    machinery: Machinery


def layout() -> Page:
    """Lay the page out, within `gr.Blocks`."""
    line = top()
    again = gr.Button("Look again", elem_id="again")
    with gr.Column(elem_id="work"):
        shown, below = cards(), bar()
    return Page(line, again, shown, below, panels(), machinery())
