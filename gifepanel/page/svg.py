"""Figures as SVG for a page: small, no outside reference, in the colours of the page, the same bytes every time."""

from __future__ import annotations

import html
import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from gifepanel.plots.style import off_screen

__all__ = ["colour_variables", "drawing", "svg_of"]

_MANY_POINTS = 2_500
_DPI = 200


@contextmanager
def drawing() -> Iterator[None]:
    """Draw in matplotlib's own style, whatever the reader's is, on figures that pyplot does not know."""
    from matplotlib import style

    look = {"svg.fonttype": "none", "svg.hashsalt": "gifepanel", "svg.image_inline": True, "savefig.dpi": _DPI}
    with style.context(["default", look]), off_screen(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph .* missing from")  # the reader's browser has the letter
        yield


def svg_of(figure: Any, number: int, label: str) -> str:
    """A figure as an ``<svg>`` element.

    Parameters
    ----------
    figure : matplotlib Figure
    number : int
        Its number on the page, which makes its ids unique.
    label : str
        What is to be seen, in words.

    Returns
    -------
    str
    """
    for axes in figure.axes:
        for artist in axes.collections:
            _lighten(artist)
        for text in axes.texts:
            text.set_path_effects([])  # would be outlines of letters; the page's style has the halo
    _lay_out(figure)
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None}, dpi=_DPI)
    return _clean(buffer.getvalue(), number, label)


def _lay_out(figure: Any) -> None:
    """Lay the figure out as it will be drawn, once: saving would draw it a first time, to nowhere, for that."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    engine = figure.get_layout_engine()
    if engine is not None:
        FigureCanvasSVG(figure)
        engine.execute(figure)
        figure.set_layout_engine(None)  # "none" would leave one that asks for that drawing


def _lighten(collection: Any) -> None:
    """One marker for points of one size; very many points become a picture."""
    if not hasattr(collection, "get_sizes"):
        return
    sizes = collection.get_sizes()
    if len(sizes) > 1 and np.ptp(sizes) == 0:
        collection.set_sizes(sizes[:1])
    if len(collection.get_offsets()) > _MANY_POINTS:
        collection.set_rasterized(True)


# ---- the text of the element

_FONTS = re.compile(r"font-family: [^;\"]*;? ?")
_GREY = re.compile(r"(fill|stroke): #([0-9a-f]{2})\2\2(?![0-9a-f])")
_COLOUR = re.compile(r"(fill|stroke): #(0072b2|009e73)(?![0-9a-f])")
_BRIGHTER = {"0072b2": "3d9fdb", "009e73": "1fb68b"}  # in the dark
_USE = re.compile(r'<use href="([^"]*)" x="([^"]*)" y="([^"]*)" style="([^"]*)"/>')
_RUN = re.compile(r'(?:<use [^>]*style="([^"]*)"/>\s*)(?:<use [^>]*style="\1"/>\s*)+')
_COORDINATES = re.compile(r' (?:d|x|y|points|width|height)="[^"]*"')


def _clean(text: str, number: int, label: str) -> str:
    text = text[text.index("<svg") :]
    width, height = (float(re.search(rf'{side}="([\d.]+)pt"', text)[1]) for side in ("width", "height"))  # type: ignore[index]
    body = text[text.index(">") + 1 : text.rindex("</svg>")]
    body = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->|<style[^>]*>.*?</style>", "", body, flags=re.DOTALL)
    body = body.replace("xlink:href", "href").replace("base64,\n", "base64,")
    body = _FONTS.sub("", body)
    body = _COLOUR.sub(r"\1: var(--c\2)", _GREY.sub(r"\1: var(--g\2)", body))
    body = _own_ids(body, f"f{number}-")
    body = _COORDINATES.sub(lambda found: re.sub(r"(\.\d\d)\d+", r"\1", found[0]), body)
    body = _RUN.sub(_hoisted, body)
    body = re.sub(r">\s+<", ">\n<", re.sub(r"<defs>\s*</defs>", "", body)).strip()
    body = re.sub(r"(?<=\d) ?\n(?=[LQCM\d-])", " ", body)  # within paths
    view = f'viewBox="0 0 {width:g} {height:g}" style="--width:{width:g}pt"'
    return f'<svg role="img" aria-label="{html.escape(label)}" {view}>\n{body}\n</svg>'


def _own_ids(body: str, prefix: str) -> str:
    """Ids that are referred to get a prefix, others go."""
    wanted = set(re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', body))
    names = {one or other for one, other in wanted}

    def named(found: re.Match[str]) -> str:
        return f' id="{prefix}{found[1]}"' if found[1] in names else ""

    body = re.sub(r' id="([^"]*)"', named, body)
    return re.sub(r'href="#', f'href="#{prefix}', body).replace("url(#", f"url(#{prefix}")


def _hoisted(found: re.Match[str]) -> str:
    """Markers of one look share the style of a group around them."""
    inner = _USE.sub(r'<use href="\1" x="\2" y="\3"/>', found[0])
    return f'<g style="{found[1]}">\n{inner}</g>\n'


def colour_variables(page: str) -> tuple[str, str]:
    """Style declarations of the colours that a page's pictures refer to: in the light, and in the dark."""
    greys = sorted(set(re.findall(r"var\(--g([0-9a-f]{2})\)", page)))
    others = sorted(set(re.findall(r"var\(--c([0-9a-f]{6})\)", page)))
    light = "".join(f"--g{grey}:#{grey * 3};" for grey in greys) + "".join(f"--c{one}:#{one};" for one in others)
    dark = "".join(f"--g{grey}:{_mirrored(int(grey, 16))};" for grey in greys)
    return light, dark + "".join(f"--c{one}:#{_BRIGHTER[one]};" for one in others)


_PAPER, _INK = (0x16, 0x19, 0x1D), (0xEC, 0xEC, 0xEA)


def _mirrored(level: int) -> str:
    share = level / 255
    mixed = [round(ink + (paper - ink) * share) for ink, paper in zip(_INK, _PAPER, strict=True)]
    return "#" + "".join(f"{one:02x}" for one in mixed)
