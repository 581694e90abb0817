"""How every figure looks: one width, one set of colours, text as text.

Figures are drawn on matplotlib's ``Figure`` objects; pyplot and its global state are never used.
They are narrow on purpose: shown at phone width their text is still about 10 pixels high. Text
stays text (small files, selectable, the page's own font); it is laid out with DejaVu Sans, which
is wider than nearly all fonts that may replace it, so labels do not collide.

The colours are Okabe and Ito's blue and orange plus greys: distinct for colour-blind readers and,
since orange is the lighter one, in a grey print. Inside the page they become CSS variables.

>>> svg = to_svg(confusion_matrix(counts, names), salt="confusion")
>>> html = inline_svg(svg, label="Confusion matrix")
"""

from __future__ import annotations

import html
import io
import re

import matplotlib
from matplotlib.figure import Figure

WIDTH_IN = 4.6

INK, MUTED, GRID, PAPER = "#1b1f24", "#57606b", "#d0d7de", "#ffffff"
BLUE, ORANGE, GREY = "#0072b2", "#de8f05", "#8c959f"
ON_BLUE = "#fefefe"  # text on full blue; differs from PAPER because it changes on its own
THEME = {
    INK: "--ink",
    MUTED: "--muted",
    GRID: "--grid",
    PAPER: "--card",
    BLUE: "--blue",
    ORANGE: "--orange",
    GREY: "--grey",
    ON_BLUE: "--on-blue",
}

STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.labelsize": 10,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.facecolor": "none",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "figure.facecolor": PAPER,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "text.color": INK,
    "text.parse_math": False,  # names may hold dollar signs
    "xtick.color": MUTED,
    "xtick.labelcolor": INK,
    "xtick.labelsize": 9,
    "ytick.color": MUTED,
    "ytick.labelcolor": INK,
    "ytick.labelsize": 9,
}
styled = matplotlib.rc_context(STYLE)
"""Decorator of every function that draws: the style holds inside and is undone afterwards."""


def new_figure(height_in: float) -> Figure:
    """An empty figure of the common width."""
    return Figure(figsize=(WIDTH_IN, height_in), layout="constrained")


def to_svg(figure: Figure, *, salt: str) -> str:
    """A figure as SVG text, the same for the same figure.

    Parameters
    ----------
    figure : Figure
    salt : str
        Distinguishes the identifiers of this figure from those of others in the same page.
    """
    buffer = io.StringIO()
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": salt}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def inline_svg(svg: str, *, label: str) -> str:
    """An SVG file as an element for an HTML page that defines the variables of ``THEME``.

    Drops what only a file needs (prolog, name spaces, metadata, size), a style sheet that would
    reach the whole page and identifiers that repeat from figure to figure; says in `label` what
    is to be seen.
    """
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", body, flags=re.DOTALL)
    body = re.sub(r'<g id="[^"]*"', "<g", body)
    view_box = re.findall(r'viewBox="[^"]*"', body)[0]
    head = f'<svg {view_box} role="img" aria-label="{html.escape(label)}">'
    body = re.sub(r"<svg[^>]*>", lambda _: head, body, count=1)
    for colour, variable in THEME.items():
        body = body.replace(f": {colour}", f": var({variable})")
    return body.strip()
