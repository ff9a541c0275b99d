"""Which pictures a report has, in which section, and what is to be seen on them in words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gifepanel.exceptions import DataError, GifepanelError, SpecificationError
from gifepanel.page.svg import drawing, svg_of
from gifepanel.plots.style import find_name

__all__ = ["Drawn", "chosen_pictures", "draw_pictures"]

_MOST_COEFFICIENTS = 6


@dataclass(frozen=True)
class Picture:
    """A method of ``res.plot`` with its arguments.

    Attributes
    ----------
    name : str
    section : str
        Id of the section it stands in.
    caption : str
        How to read it.
    arguments : tuple
    separate : bool
        Whether every coefficient has a scale of its own.
    fits : bool
        Whether the model has such a thing.
    label : callable, optional
        What is to be seen, from the results; the caption else.
    """

    name: str
    section: str
    caption: str
    arguments: tuple[Any, ...] = ()
    separate: bool = False
    fits: bool = True
    label: Callable[[Any], str] | None = None


@dataclass(frozen=True)
class Drawn:
    """An ``<svg>``, its caption, its section."""

    section: str
    svg: str
    caption: str


def chosen_pictures(res: Any, plots: Any) -> list[Picture]:
    """The pictures asked for: all that fit with True, none with False, or those named.

    Raises
    ------
    SpecificationError
        For a name that ``res.plot`` has not, or something that is no list of names.
    """
    if isinstance(plots, (bool, np.bool_)):
        return [picture for picture in _pictures(res) if picture.fits] if plots else []
    if not isinstance(plots, Sequence) or isinstance(plots, (str, bytes)):
        raise SpecificationError(
            f"plots is {plots!r}.", "It must be True, False or a list of names.", 'plots=["coefficients"]'
        )
    known = dir(res.plot)
    wanted = [known[find_name(name, known, "is no picture of these results")] for name in plots]
    return [picture for picture in _pictures(res) if picture.name in wanted]


def draw_pictures(res: Any, pictures: Sequence[Picture]) -> tuple[list[Drawn], list[str]]:
    """Draw; what can't be drawn is told in sentences."""
    done: list[Drawn] = []
    failed: dict[str, list[str]] = {}
    if not pictures:
        return done, []
    try:
        with drawing():
            for picture in pictures:
                try:
                    svg = _drawn(res, picture, len(done) + 1)
                except GifepanelError as error:
                    why = error.found.rstrip(".")
                    if isinstance(error, DataError) and res.model.design is None:
                        why = "the data of these results are gone, since remove_data() was called"
                    failed.setdefault(why, []).append(picture.name.replace("_", " "))
                else:
                    done.append(Drawn(picture.section, svg, picture.caption))
    except ImportError:
        return [], ["There are no pictures, since matplotlib is not installed: python -m pip install matplotlib."]
    return done, [f"Not drawn ({', '.join(dict.fromkeys(names))}): {why}." for why, names in failed.items()]


def _drawn(res: Any, picture: Picture, number: int) -> str:
    options = {"separate": True} if picture.separate else {}
    axes = getattr(res.plot, picture.name)(*picture.arguments, **options)
    first = axes if hasattr(axes, "figure") else np.ravel(axes)[0]
    label = picture.caption if picture.label is None else picture.label(res)
    return svg_of(first.figure, number, label)


# ---- what there is


def _pictures(res: Any) -> list[Picture]:
    linear = not hasattr(res, "factor_shares")
    slopes = [name for j, name in enumerate(res._names) if j not in res.model._constants][:_MOST_COEFFICIENTS]
    coefficients = Picture(
        "coefficients",
        "estimates",
        "Point estimates with 95 % confidence intervals.",
        separate=_of_many_sizes(res),
        label=_coefficients_in_words,
    )
    return [coefficients, *(_linear(res, slopes) if linear else _with_factors(res, slopes))]


def _of_many_sizes(res: Any) -> bool:
    """Whether one scale would make some intervals invisible; for as many regressors as have room."""
    slots = np.asarray(getattr(res, "_slots", np.arange(len(res._names))[None, :]))
    slots = slots[:, [int(j) not in res.model._constants for j in slots[0]]]
    if not 2 <= slots.shape[1] <= 9:
        return False
    sizes = np.abs(np.asarray(res.conf_int())).max(axis=1)[slots].max(axis=0)
    return bool(sizes.max() > 20 * sizes.min())


def _with_factors(res: Any, slopes: list[str]) -> Iterable[Picture]:
    groups, factors = res.n_groups > 1, res.n_factors > 0
    penalised = hasattr(res, "penalized")
    share = 100 * float(res.factor_shares.sum()) if factors else 0.0
    yield Picture("unit_slopes", "groups", "Slopes of every entity by itself at the factors of the fit, small and "
                  "hollow where they are drawn to their group, with the slopes of the groups, which are their means by "
                  "precision, and where these may lie with 95 % confidence.", fits=groups)  # fmt: skip
    yield Picture("membership", "groups", "How much worse every entity fits in the next best group. Hollow: unclear, "
                  "the own group is less than 95 % probable.", fits=groups, label=_margins_in_words)  # fmt: skip
    yield Picture("membership", "groups", "The outcome over time, by group, with the mean of the group.",
                  ("panel",), fits=groups)  # fmt: skip
    yield Picture("factors", "factors", f"The common factors over time. Together they take up {share:.1f} % of the "
                  "variance that slopes and additive effects leave; their signs are a matter of convention.",
                  fits=factors)  # fmt: skip
    yield Picture("loadings", "factors", "How strongly the entities load on the factors; the extreme ones are named.",
                  fits=factors)  # fmt: skip
    yield Picture("scree", "factors", "Shares of the variance of what slopes and additive effects leave, by principal "
                  "component; the first ones are the factors of the model.")  # fmt: skip
    yield Picture("criteria", "selection", "Information criteria; the chosen number is marked.",
                  fits=res.selection is not None)  # fmt: skip
    yield from _partial(slopes, groups)
    yield Picture("residuals", "residuals", "Residuals of every entity and period. A pattern along a row or a column "
                  "is something that the model misses.", fits=True)  # fmt: skip
    yield Picture("residuals", "residuals", "Residuals against fitted values; the dashed line, their local means, "
                  "should stay near zero.", ("fitted",))  # fmt: skip
    yield Picture("fitted", "residuals", "Actual and fitted outcome of some entities, from well to badly fitted.")
    yield Picture("path", "computation", "The penalised criterion after every sweep and every step of the descent.",
                  fits=penalised)  # fmt: skip


def _linear(res: Any, slopes: list[str]) -> Iterable[Picture]:
    yield from _partial(slopes)
    for j, name in enumerate(slopes):
        words = f"The part of {name} in the outcome, residuals added."
        words += "" if j else " A bend of the dashed line is curvature that the model misses."
        yield Picture("component_plus_residual", "partial", words, (name,))
    yield Picture("residuals", "residuals", "Residuals against fitted values; the dashed line, their local means, "
                  "should stay near zero.")  # fmt: skip
    yield Picture("residuals", "residuals", "Residuals of every entity and period. A pattern along a row or a column "
                  "is something that the model misses.", ("panel",), fits=_is_panel(res))  # fmt: skip
    yield Picture("fitted", "residuals", "Actual against fitted outcome.")


def _partial(slopes: list[str], grouped: bool = False) -> Iterable[Picture]:
    for j, name in enumerate(slopes):
        words = f"Outcome against {name}, both residualised on everything else."
        if j == 0:
            words += " The line's slope is the coefficient, the band its 95 % interval."
            words += " Rows of other groups are grey." if grouped else ""
        yield Picture("added_variable", "partial", words, (name,), label=_added_in_words(name))
    for name in slopes[:1]:
        yield Picture("fwl", "partial", f"What partialling out does, for {name}: as the data are, both residualised, "
                      "and only the outcome residualised.", (name,))  # fmt: skip


def _is_panel(res: Any) -> bool:
    model = res.model
    if model.design is None:
        return False
    index = model.panel_index(model._entity, model._time, required=False)
    return index is not None and not index.has_duplicates and index.n_times > 1


# ---- in words


def _coefficients_in_words(res: Any) -> str:
    interval = np.asarray(res.conf_int())
    parts = [
        f"{name} {value:.4g} ({low:.4g} to {high:.4g})"
        for name, value, (low, high) in zip(res._names, np.asarray(res.params), interval, strict=True)
    ]
    more = f"; and {len(parts) - 12} more" if len(parts) > 12 else ""
    return f"Coefficients with 95 % intervals: {'; '.join(parts[:12])}{more}."


def _added_in_words(name: str) -> Callable[[Any], str]:
    def words(res: Any) -> str:
        j = res._names.index(name)
        slope, error = (float(np.asarray(values)[j]) for values in (res.params, res.bse))
        return f"Outcome against {name}, both residualised: a line of slope {slope:.4g}, standard error {error:.3g}."

    return words


def _margins_in_words(res: Any) -> str:
    margins = res.membership.groupby("group")["margin"].median()
    parts = [f"group {k} {value:.3g}" for k, value in margins.items()]
    return f"Margins over the next best group, in error variances; medians: {', '.join(parts)}."
