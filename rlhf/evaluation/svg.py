"""Matplotlib figures as SVG that takes its colours and its typeface from the page around it, in light and in dark."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from typing import Any

# Matplotlib wants real colours: each of these stands for a CSS variable, and is replaced by it in the SVG.
INK, MUTED, LINE, PAPER = "#010203", "#020304", "#030405", "#040506"
SERIES = tuple(f"#0a0b{number:02x}" for number in range(1, 9))
VARIABLES = {INK: "--ink", MUTED: "--muted", LINE: "--line", PAPER: "--paper"} | {
    color: f"--series-{number}" for number, color in enumerate(SERIES, start=1)
}
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.edgecolor": LINE,
    "axes.labelcolor": MUTED,
    "axes.titlecolor": INK,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 8,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.8,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
}


@contextmanager
def figure(width: float, height: float, rows: int = 1, columns: int = 1, **kwargs: Any) -> Iterator[Any]:
    """A figure and its axes in the report's style, sizes in inches; closed at the end of the block."""
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        drawing = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasSVG(drawing)
        yield drawing, drawing.subplots(rows, columns, **kwargs)


def to_svg(drawing: Any, name: str, description: str) -> str:
    """The figure as an SVG element for a page.

    Args:
        drawing: the Matplotlib figure.
        name: makes the ids inside the SVG its own, as several figures share a page.
        description: what a reader who can't see the figure is told; plain text.
    """
    import matplotlib

    out = StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with matplotlib.rc_context(STYLE | {"svg.hashsalt": name}):
        drawing.savefig(out, format="svg", metadata=nothing)
    text = out.getvalue()
    text = text[text.index("<svg") :]
    for color, variable in VARIABLES.items():
        text = text.replace(color, f"var({variable})")
    text = re.sub(r"font-family: [^;\"]*", "font-family: var(--sans)", text)
    # Its style sheet would reach the whole page, and ids such as "axes_1" repeat in each figure; those that
    # are referred to are hashes.
    text = re.sub(r"<style[^>]*>.*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(r' id="[\w.]+_\d+"', "", text)
    return _with_description(text, description)


def _with_description(text: str, description: str) -> str:
    """Give the root element a role and a label, and let the page set its size."""
    end = text.index(">")
    root = re.sub(r' (?:width|height)="[^"]*"', "", text[:end])
    label = description.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    return f'{root} role="img" aria-label="{label}">{text[end + 1 :]}'
