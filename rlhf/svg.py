"""Matplotlib figures as SVG that takes its colours and its typeface from the page around it, in light and in dark."""

import re
from collections.abc import Iterator, Sequence
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


def bars(axes: Any, places: Sequence[float], heights: Sequence[float], color: str, *, width: float = 0.8) -> None:
    """Upright bars from 0, without a frame."""
    axes.bar(places, heights, width=width, color=color, linewidth=0)
    axes.set_ylim(bottom=0)
    axes.grid(axis="x", visible=False)


def line_with_band(
    axes: Any, places: Sequence[float], values: Sequence[float], limits: Sequence[Sequence[float] | None], color: str
) -> None:
    """A line with a dot for each value, and a band between the limits of those that have some."""
    known = [(place, *pair) for place, pair in zip(places, limits, strict=True) if pair]
    if known:
        at, low, high = zip(*known, strict=True)
        axes.fill_between(at, low, high, color=color, alpha=0.18, linewidth=0)
    axes.plot(places, values, "-o", color=color, markersize=4.5, markeredgecolor=PAPER, markeredgewidth=0.8)
    axes.grid(axis="x", visible=False)


def dots_with_intervals(
    axes: Any, names: Sequence[str], values: Sequence[float], limits: Sequence[Sequence[float] | None], color: str
) -> None:
    """A row for each name, the first on top: a dot, and a bar between its limits."""
    rows = range(len(names) - 1, -1, -1)
    for row, value, pair in zip(rows, values, limits, strict=True):
        if pair:
            axes.plot(pair, [row, row], color=color, linewidth=3.2, alpha=0.45, solid_capstyle="round")
        axes.plot([value], [row], "o", color=color, markersize=6.5, markeredgecolor=PAPER, markeredgewidth=1)
    axes.set_yticks(list(rows), list(names))
    axes.set_ylim(-0.7, len(names) - 0.3)
    axes.tick_params(axis="y", labelcolor=INK)
    axes.grid(axis="y", visible=False)


def to_svg(drawing: Any, name: str, description: str, *, title: str = "") -> str:
    """The figure as an SVG element for a page.

    Args:
        drawing: the Matplotlib figure.
        name: makes the ids inside the SVG its own, as several figures share a page.
        description: what a reader who can't see the figure is told; plain text.
        title: what it is called, where it is to be told apart from its description: they become <title> and <desc>.
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
    return _with_description(text, name, description, title)


def _with_description(text: str, name: str, description: str, title: str) -> str:
    """Give the root element a role and a label, and let the page set its size."""
    end = text.index(">")
    root = re.sub(r' (?:width|height)="[^"]*"', "", text[:end])
    if not title:
        return f'{root} role="img" aria-label="{_escaped(description)}">{text[end + 1 :]}'
    told = f'<title id="{name}-title">{_escaped(title)}</title><desc id="{name}-desc">{_escaped(description)}</desc>'
    named = f'aria-labelledby="{name}-title" aria-describedby="{name}-desc"'
    return f'{root} role="img" {named}>{told}{text[end + 1 :]}'


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
