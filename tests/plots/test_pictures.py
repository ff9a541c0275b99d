"""Pictures compared with stored ones, and a look at their form: nothing cut off, nothing written over.

Stored pictures are small, without any text, and averaged over blocks of pixels before they are compared, so that fonts
and anti-aliasing of other machines do not matter. To store them anew, look at what has changed, then run
``GIFEPANEL_STORE_PICTURES=1 python -m pytest tests/plots/test_pictures.py``.
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.collections import PathCollection
from matplotlib.text import Text

from gifepanel import GroupedIFE, PartialledOLS
from gifepanel.datasets import load_cigar, simulate

BASELINE = Path(__file__).parent / "baseline"
TOLERANCE = 3.0  # of 255; see test_the_comparison_sees_small_changes
PRICE = "log(real_price)"

PICTURES = {
    "coefficients": ("coefficients",),
    "unit_slopes": ("unit_slopes",),
    "strip": ("unit_slopes", PRICE),
    "margins": ("membership",),
    "panel": ("membership", "panel"),
    "factors": ("factors",),
    "loadings": ("loadings",),
    "scree": ("scree",),
    "path": ("path",),
    "residuals": ("residuals",),
    "fitted": ("fitted", ["Utah", "Ohio", "Texas"]),
    "added_variable": ("added_variable", f"{PRICE}[1]"),
    "fwl": ("fwl", f"{PRICE}[1]"),
}
LINEAR = {
    "component_plus_residual": ("component_plus_residual", PRICE),
    "residuals_fitted": ("residuals",),
    "linear_fwl": ("fwl", PRICE),
}


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def linear() -> Any:
    return PartialledOLS.from_formula(f"log(sales) ~ {PRICE} + log(real_income) | state + year", load_cigar()).fit()


def draw(res: Any, call: tuple[Any, ...]) -> Any:
    name, *arguments = call
    return getattr(res.plot, name)(*arguments)


def pixels(axes: Any) -> np.ndarray:
    """The figure without text at a fixed layout, (60, 80, 3): means over blocks of six by six pixels."""
    figure = np.ravel(axes)[0].figure
    figure.set_layout_engine("none")
    figure.set_size_inches(4.8, 3.6)
    for bar in [ax for ax in figure.axes if ax.get_label() == "<colorbar>"]:  # placed differently by version
        bar.remove()
        np.ravel(axes)[0].set_position((0.1, 0.1, 0.8, 0.8))
    for ax in figure.axes:
        ax.tick_params(which="both", left=False, bottom=False, right=False)
    for legend in [*figure.legends, *(ax.get_legend() for ax in figure.axes)]:
        if legend is not None:
            legend.remove()
    for text in figure.findobj(Text):
        text.set_visible(False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="rgba", dpi=100)
    image = np.frombuffer(buffer.getvalue(), dtype=np.uint8).reshape(360, 480, 4)[:, :, :3]
    return image.reshape(60, 6, 80, 6, 3).mean(axis=(1, 3))


def distance(one: np.ndarray, other: np.ndarray) -> float:
    """Root mean square over the blocks that are not white in both pictures."""
    drawn = (np.minimum(one, other) < 250).any(axis=2)
    return float(np.sqrt(((one - other)[drawn] ** 2).mean()))


def compare(name: str, picture: np.ndarray) -> None:
    path = BASELINE / f"{name}.png"
    if os.environ.get("GIFEPANEL_STORE_PICTURES"):
        plt.imsave(path, np.rint(picture).astype(np.uint8))
    stored = 255 * plt.imread(path)[:, :, :3]
    assert stored.shape == picture.shape
    assert distance(stored, picture) < TOLERANCE


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_of_groups(name: str, grouped: Any) -> None:
    compare(name, pixels(draw(grouped, PICTURES[name])))


@pytest.mark.parametrize("name", LINEAR)
def test_pictures_of_least_squares(name: str, linear: Any) -> None:
    compare(name, pixels(draw(linear, LINEAR[name])))


def test_the_comparison_sees_small_changes(grouped: Any) -> None:
    """A coefficient off by a tenth, a swapped colour, a band gone: all are further off than the tolerance."""
    ax = grouped.plot.coefficients()
    bar = ax.containers[0]
    bar.lines[0].set_xdata([0.9 * bar.lines[0].get_xdata()[0]])
    assert distance(pixels(ax), pixels(grouped.plot.coefficients())) > TOLERANCE
    ax = grouped.plot.unit_slopes()
    for mark in [c for c in ax.collections if isinstance(c, PathCollection)][:2]:  # dots of a group
        mark.set(facecolor="#009E73", edgecolor="#009E73")
    assert distance(pixels(ax), pixels(grouped.plot.unit_slopes())) > TOLERANCE
    axes = grouped.plot.fwl(f"{PRICE}[1]")
    axes[0].collections[-1].remove()
    assert distance(pixels(axes), pixels(grouped.plot.fwl(f"{PRICE}[1]"))) > TOLERANCE


# ---- form ----


def boxes(axes: Any) -> tuple[Any, list[tuple[str, Any]]]:
    """The figure's box and those of all text that is shown."""
    figure = np.ravel(axes)[0].figure
    figure.canvas.draw()
    unseen = {id(label) for ax in figure.axes for label in ticks_out_of_view(ax)}
    shown = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
    return figure.bbox, [(text.get_text(), text.get_window_extent()) for text in shown if id(text) not in unseen]


def ticks_out_of_view(ax: Any) -> list[Any]:
    """Ticks beyond the limits exist, and are not drawn."""
    out = []
    for axis in (ax.xaxis, ax.yaxis):
        low, high = sorted(axis.get_view_interval())
        for tick in axis.get_major_ticks() + axis.get_minor_ticks():
            if not low <= tick.get_loc() <= high:
                out += [tick.label1, tick.label2]
    return out


@pytest.mark.parametrize("name", PICTURES)
def test_no_text_is_cut_off_or_overlaps(name: str, grouped: Any) -> None:
    frame, texts = boxes(draw(grouped, PICTURES[name]))
    for text, box in texts:
        cut = box.x0 < frame.x0 - 1 or box.x1 > frame.x1 + 1 or box.y0 < frame.y0 - 1 or box.y1 > frame.y1 + 1
        assert not cut, text
    for i, (text, box) in enumerate(texts):
        for other, second in texts[i + 1 :]:
            across = min(box.x1, second.x1) - max(box.x0, second.x0)
            down = min(box.y1, second.y1) - max(box.y0, second.y0)
            assert across <= 1 or down <= 3, (text, other)


def test_many_groups_and_long_names() -> None:
    panel = simulate("G", 70, 20, n_groups=5, random_state=3)
    data = panel.data.rename(columns={f"x{j}": f"a_long_name_of_regressor_number_{j}" for j in (1, 2, 3)})
    res = GroupedIFE(data["y"], data.drop(columns="y"), n_groups=5, n_factors=2).fit(n_starts=1)
    for call in (("coefficients",), ("unit_slopes",), ("loadings",), ("membership",)):
        frame, texts = boxes(draw(res, call))
        assert all(box.x0 > frame.x0 - 1 and box.x1 < frame.x1 + 1 for _, box in texts), call
