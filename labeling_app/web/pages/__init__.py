"""The Gradio app: layout and events only. What happens is in the verbs of the packages beside `web`."""

import gradio as gr

from labeling_app.store import Database
from labeling_app.web.pages.events import Events
from labeling_app.web.pages.layout import layout

__all__ = ["build", "head", "theme"]


def build(database: Database) -> gr.Blocks:
    """All pages."""
    blocks: gr.Blocks
    with gr.Blocks(title="Labeling", analytics_enabled=False, delete_cache=(3600, 3600)) as blocks:
        Events(database, layout()).connect()
    return blocks


def head() -> str:
    """Our own style and script, as files: the content policy lets nothing else run."""
    styles = "".join(f'<link rel="stylesheet" href="/static/{name}.css">' for name in ("app", "code"))
    return f'{styles}<script type="module" src="/static/annotate/main.js"></script>'


def theme() -> gr.themes.Base:
    """The system's typeface, restrained; light and dark follow the system."""
    letters = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"]
    code = ["ui-monospace", "monospace"]
    return gr.themes.Default(primary_hue="blue", neutral_hue="zinc", font=letters, font_mono=code)
