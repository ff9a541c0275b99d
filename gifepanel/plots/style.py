"""One look for all pictures: colours, markers, axes, labels. Nothing here touches matplotlib's global settings.

Colours are those of Okabe & Ito (2008), told apart under the common colour deficiencies; each comes with a marker and a
line style of its own, so that a picture can be read in grey. Sizes of text are relative to the reader's own style.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from gifepanel.exceptions import MissingPackageError, SpecificationError

__all__ = [
    "BAND",
    "GREY",
    "LINE",
    "MANY_NAMES",
    "POINTS",
    "Style",
    "axes_room",
    "by_row",
    "dress",
    "edge_width",
    "escaped",
    "find_name",
    "folded",
    "head",
    "off_screen",
    "one_line",
    "plain",
    "point_size",
    "points_of",
    "pyplot",
    "several",
    "shared_legend",
    "short",
    "single",
    "stacked",
    "style",
    "text_width",
    "zero_line",
]

Array = np.ndarray[Any, np.dtype[np.float64]]

_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#000000")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_LINES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (4, 1.2, 1, 1.2)), (0, (1, 1)), (0, (8, 2, 2, 2)), (0, (2, 1)), "-")
POINTS, LINE, BAND, GREY = "#0072B2", "#D55E00", "#D55E00", "0.4"
MANY_NAMES = 60


class Style(NamedTuple):
    """How one group, factor or criterion is drawn."""

    color: str
    marker: str
    line: Any


def style(k: int) -> Style:
    """The k-th style, k from 0; 49 different pairs of colour and marker."""
    turn = k // len(_COLOURS)
    return Style(_COLOURS[k % 7], _MARKERS[(k + turn) % 7], _LINES[(k + turn) % 7])


def pyplot() -> Any:
    """``matplotlib.pyplot``, imported when the first picture is drawn; what `off_screen` says within it."""
    if _maker.get() is not None:
        return _maker.get()
    try:
        from matplotlib import pyplot as plt
    except ImportError as error:
        needed, fix = "matplotlib is not installed", "python -m pip install matplotlib"
        raise MissingPackageError("Pictures need matplotlib", needed, fix) from error
    return plt


_maker: ContextVar[Any] = ContextVar("maker of figures", default=None)


class _Figures:
    """Makes figures that pyplot does not know: no window, nothing to close."""

    def subplots(self, *shape: int, figsize: tuple[float, float], layout: str, **options: Any) -> tuple[Any, Any]:
        from matplotlib.figure import Figure

        fig = Figure(figsize=figsize, layout=layout)  # type: ignore[arg-type]
        return fig, fig.subplots(*shape, **options)


@contextmanager
def off_screen() -> Iterator[None]:
    """New figures are none of pyplot's, whatever its backend."""
    token = _maker.set(_Figures())
    try:
        yield
    finally:
        _maker.reset(token)


# ---- axes ----


def single(ax: Any, width: float = 5.4, height: float = 3.8) -> Any:
    """The Axes given, or those of a new figure; dressed."""
    if ax is None:
        fig, ax = pyplot().subplots(figsize=(width, height), layout="constrained")
        fig.get_layout_engine().set(w_pad=0.07, h_pad=0.07)
    elif not hasattr(ax, "plot") or not hasattr(ax, "figure"):
        raise SpecificationError(
            f"ax is {type(ax).__name__}.", "This picture is drawn on one Axes.", "fig, ax = plt.subplots()"
        )
    return dress(ax)


def several(
    ax: Any, n: int, *, columns: int = 3, size: tuple[float, float] = (3.1, 2.6), **subplots: Any
) -> np.ndarray[Any, Any]:
    """`n` Axes: the first of those given, or those of a new figure; dressed.

    Raises
    ------
    SpecificationError
        If fewer were given.
    """
    columns = min(columns, n)
    rows = -(-n // columns)
    if ax is None:
        figsize = (size[0] * columns + 0.4, size[1] * rows + 0.2)
        fig, grid = pyplot().subplots(rows, columns, figsize=figsize, layout="constrained", squeeze=False, **subplots)
        fig.get_layout_engine().set(w_pad=0.07, h_pad=0.07)
        for unused in grid.ravel()[n:]:
            fig.delaxes(unused)
        given = grid.ravel()
    else:
        given = np.asarray(ax, dtype=object).ravel()
        if len(given) < n:
            raise SpecificationError(
                f"ax has {len(given)} Axes.",
                f"This picture has {n} panels.",
                f"fig, ax = plt.subplots({rows}, {columns})",
            )
    return np.array([dress(one) for one in given[:n]], dtype=object)


def stacked(ax: Any, heights: Sequence[float], width: float) -> np.ndarray[Any, Any]:
    """Axes one above the other, of these heights in inches: the first of those given, or of a new figure; dressed."""
    n = len(heights)
    if ax is not None:
        return several(ax, n, columns=1)
    size = (width, sum(heights) + 0.5 * n + 0.6)
    fig, axes = pyplot().subplots(
        n, 1, figsize=size, layout="constrained", gridspec_kw={"height_ratios": list(heights)}
    )
    fig.get_layout_engine().set(w_pad=0.07, h_pad=0.07)
    return np.array([dress(one) for one in axes], dtype=object)


def dress(ax: Any) -> Any:
    """Thin grey frame at the left and below."""
    ax.spines[["top", "right"]].set_visible(False)
    for side in ("left", "bottom"):
        ax.spines[side].set(color="0.35", linewidth=0.8)
    ax.tick_params(labelsize="small", color="0.35", width=0.8, length=3)
    return ax


def zero_line(ax: Any, *, vertical: bool = False) -> None:
    """A thin line at zero, behind everything."""
    draw = ax.axvline if vertical else ax.axhline
    draw(0, color="0.6", linewidth=0.8, zorder=0)


def head(ax: Any, title: str, handles: Sequence[Any] = ()) -> None:
    """Title at the left and, under it, the legend in rows above the axes: nothing drawn is ever covered."""
    rows, point = 0, points_of("small")
    if handles:
        columns = _columns(handles, axes_room(ax)[0], point)
        rows = -(-len(handles) // columns)
        ax.legend(
            handles=by_row(handles, columns),
            loc="lower left",
            bbox_to_anchor=(0.0, 1.0),
            borderaxespad=0.15,
            borderpad=0.1,
            frameon=False,
            fontsize="small",
            ncols=columns,
            handlelength=1.8,
            handletextpad=0.5,
            columnspacing=1.2,
        )
    title = folded(title, axes_room(ax)[0] + 12, points_of("medium"))
    ax.set_title(title, loc="left", fontsize="medium", pad=7 + rows * 1.55 * point)


def folded(text: str, room: float, point: float) -> str:
    """A text in lines no wider than `room`, in points; a word that is wider stays whole."""
    if text_width(text, point) <= room:
        return text
    lines: list[str] = []
    for word in text.split(" "):
        if lines and text_width(f"{lines[-1]} {word}", point) <= room:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return "\n".join(lines)


def points_of(size: str) -> float:
    """A size of text in words, in points."""
    from matplotlib.font_manager import FontProperties

    return float(FontProperties(size=size).get_size_in_points())


def text_width(text: str, point: float) -> float:
    """Width of a line of text, in points."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    known: Any = text_to_path
    return float(known.get_text_width_height_descent(text.replace(r"\$", "$"), FontProperties(size=point), False)[0])


def axes_room(ax: Any) -> tuple[float, float]:
    """Width and height of the axes in points, as the layout will leave them: a forecast without drawing."""
    fig = ax.figure
    box, engine = ax.get_position(), getattr(fig, "get_layout_engine", lambda: None)()
    width, height = 72 * fig.get_figwidth(), 72 * fig.get_figheight()
    if engine is None:
        return width * box.width, height * box.height
    small = points_of("small")
    names = [(label.get_text(), label.get_fontsize()) for label in ax.get_yticklabels()]
    name, size = max(names, key=lambda one: len(one[0]), default=("", small))
    longest = text_width(name, size) if name else 3.2 * small
    aside = longest + (2.2 * small if ax.get_ylabel() else 0.0) + 2.0 * small
    return width * min(1.0, box.width / 0.775) - aside, height * min(1.0, box.height / 0.77) - 7.5 * small


def point_size(n: int) -> float:
    """Area of markers for n points."""
    return float(np.clip(30 * (60 / max(n, 1)) ** 0.5, 6, 30))


def edge_width(n: int) -> float:
    """Width of the white edge of n points; small points have none."""
    return 0.4 if n <= 400 else 0.0


def _columns(handles: Sequence[Any], room: float, point: float) -> int:
    """How many entries of a legend have room side by side: their texts, marks and the gaps between them."""
    widths = [text_width(handle.get_label(), point) + 3.5 * point for handle in handles]
    for columns in range(len(handles), 1, -1):
        if sum(max(widths[column::columns]) for column in range(columns)) - 1.2 * point <= room:
            return columns
    return 1


def by_row(handles: Sequence[Any], columns: int) -> list[Any]:
    """Entries of a legend, which fills its columns one by one, in the order that is read along its rows."""
    return [handle for column in range(columns) for handle in handles[column::columns]]


def shared_legend(axes: Any, handles: Sequence[Any], own_figure: bool) -> None:
    """One legend for several panels: above them all in a figure of ours, above the first in the reader's."""
    if own_figure:
        figure, point = axes[0].figure, points_of("small")
        columns = _columns(handles, 72 * figure.get_figwidth() - 20, point)
        figure.legend(
            handles=by_row(handles, columns), loc="outside upper left", ncols=columns, frameon=False, fontsize="small",
            handlelength=1.8, handletextpad=0.5, columnspacing=1.2, borderpad=0.1,
        )  # fmt: skip
    else:
        head(axes[0], axes[0].get_title(loc="left"), handles)


# ---- text ----


def short(value: float, digits: int = 4) -> str:
    """A number with a true minus sign."""
    return f"{value:.{digits}g}".replace("-", "−")


def plain(label: Any, limit: int = 28) -> str:
    """A label as one line of text: no mathematics between dollars; where longer than `limit`, without its middle."""
    text = one_line(label)
    if len(text) > limit:
        tail = 2 * limit // 5
        text = text[: limit - tail - 1].rstrip() + "…" + text[-tail:].lstrip()
    return escaped(text)


def one_line(label: Any) -> str:
    """A label as one line of text."""
    if isinstance(label, tuple):
        label = ", ".join(map(str, label))
    if isinstance(label, pd.Timestamp) and label == label.normalize():
        label = label.date()
    return " ".join(str(label).split())


def escaped(text: str) -> str:
    """No mathematics between dollars."""
    return text.replace("$", r"\$")


def find_name(name: Any, names: Sequence[Any], what: str) -> int:
    """Position of a name, or an error with the names there are, the nearest first."""
    known = list(names)
    if name in known:
        return known.index(name)
    words = {str(one): one for one in known}
    near = difflib.get_close_matches(str(name), words, n=3, cutoff=0.5)
    shown = near or list(words)[:5]
    more = f" and {len(words) - len(shown)} more" if len(words) > len(shown) else ""
    raise SpecificationError(f"{name!r} {what}.", f"There are {', '.join(shown)}{more}.", repr(words[shown[0]]))
