"""The theorem of Frisch, Waugh and Lovell on a fitted model: residualised columns and the regressions that agree."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from gifepanel.projections.least_squares import least_squares
from gifepanel.projections.triangle import orthogonal_triangle
from gifepanel.short_repr import ShortRepr

if TYPE_CHECKING:
    from gifepanel.results.linear_inputs import LinearModel, PartialledFit

__all__ = ["FwlCheck", "fwl_check"]

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, eq=False, repr=False)
class FwlCheck(ShortRepr):
    """Residualised columns and what three regressions make of them.

    Attributes
    ----------
    columns : DataFrame
        Outcome and regressors, residualised on effects and controls, on the caller's index.
    table : DataFrame
        For every coefficient: the full regression, the outcome as it is on residualised regressors, and the
        residualised outcome on residualised regressors; coefficient, intercept of that regression, and the standard
        error that a plain least-squares program prints for it.
    differences : tuple of str
        What differs between the rows, and why.

    Examples
    --------
    >>> import gifepanel as gife
    >>> cigar = gife.datasets.load_cigar()
    >>> res = gife.PartialledOLS.from_formula("sales ~ price + ndi | state + year", cigar).fit()
    >>> res.fwl().table.xs("price")["estimate"].round(6).tolist()
    [-0.823226, -0.823226, -0.823226]
    """

    columns: pd.DataFrame
    table: pd.DataFrame
    differences: tuple[str, ...]

    def __str__(self) -> str:
        lines = [self.table.to_string(float_format=lambda v: f"{v:.8g}"), ""]
        notes = (textwrap.fill(text, 78, initial_indent="- ", subsequent_indent="  ") for text in self.differences)
        return "\n".join([*lines, *notes])

    def _repr_html_(self) -> str:
        items = "".join(f"<li>{text}</li>" for text in self.differences)
        return f"{self.table.to_html(float_format=lambda v: f'{v:.8g}')}<ul>{items}</ul>"


_DIFFERENCES = (
    "The coefficients are the same: what is left of a regressor is orthogonal to the nuisance part, so it does not "
    "matter whether the outcome still holds that part (Frisch and Waugh 1933, Lovell 1963).",
    "The intercepts are not: residualised regressors have mean zero, so the second regression's intercept is the mean "
    "of the outcome, the third's is zero.",
    "The second regression's standard errors are wrong: its residuals still hold the nuisance part of the outcome.",
    "The third's are off by the degrees of freedom alone: a plain program does not know how many parameters were "
    "partialled out. Multiply by sqrt((n - k - 1) / (n - K)), K counting them all.",
)


def fwl_check(model: LinearModel, fit: PartialledFit, endog: str, names: list[str]) -> FwlCheck:
    """Residualised columns and the check table."""
    design = model.design
    columns = pd.DataFrame(
        np.column_stack([fit.y_tilde, fit.x_tilde]), index=design.row_index, columns=[endog, *names], copy=False
    )
    weights = np.ones(design.nobs) if design.weights is None else design.weights
    degrees = fit.projection.degrees.total
    rows: list[tuple[Any, ...]] = []
    n, k = fit.x_tilde.shape
    full = _errors(fit.x_tilde, fit.resid, weights, n - k - degrees)
    for j, name in enumerate(names):
        rows.append((name, "full regression", fit.params[j], np.nan, full[j]))
    for label, outcome in (
        ("y on residualised x", design.endog),
        ("residualised y on residualised x", fit.y_tilde),
    ):
        coefficients, intercept, errors = _plain(fit.x_tilde, outcome, weights)
        rows += [(name, label, coefficients[j], intercept, errors[j]) for j, name in enumerate(names)]
    frame = pd.DataFrame(rows, columns=["coefficient of", "regression", "estimate", "intercept", "std err as printed"])
    return FwlCheck(columns, frame.set_index(["coefficient of", "regression"]), _DIFFERENCES)


def _errors(x: Array, resid: Array, weights: Array, df: float) -> Array:
    scale = float((weights * resid) @ resid) / df
    return np.linalg.norm(orthogonal_triangle(x, np.sqrt(weights))[0].root, axis=1) * np.sqrt(scale)


def _plain(x: Array, y: Array, weights: Array) -> tuple[Array, float, Array]:
    """Least squares with an intercept, as a program without knowledge of the nuisance part runs it."""
    columns = np.column_stack([x, np.ones(len(y))])
    root = np.sqrt(weights)
    solution = least_squares(columns, y, root).params
    errors = _errors(columns, y - columns @ solution, weights, len(y) - columns.shape[1])
    rounding = 1e-13 * float(np.abs(y).max(initial=0.0))
    return solution[:-1], float(solution[-1]) if abs(solution[-1]) > rounding else 0.0, errors[:-1]
