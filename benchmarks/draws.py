"""One Monte Carlo draw: simulate a panel, fit it in the ways compared, score each fit against the truth."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

import gifepanel as gife
from gifepanel.exceptions import GifepanelWarning

__all__ = ["CELLS", "ENTROPY", "REFERENCE", "SMALL", "Cell", "match_groups", "one_draw", "simulate_draw"]

Array = np.ndarray[Any, np.dtype[np.float64]]
ENTROPY = 20_180_808
_DESIGNS = "SDPG"


@dataclass(frozen=True)
class Cell:
    """A design at one size.

    Attributes
    ----------
    design : {"S", "D", "P", "G"}
    n, t : int
    k, r : int
        Groups and factors, of the design and of the fit.
    scales : tuple of float
        Values of ``kappa_scale`` besides 1.
    """

    design: str
    n: int
    t: int
    k: int = 3
    r: int = 2
    scales: tuple[float, ...] = field(default=())

    @property
    def name(self) -> str:
        """``S 100x25``."""
        return f"{self.design} {self.n}x{self.t}"


REFERENCE = (
    Cell("S", 100, 25, scales=(0.2, 5.0)),
    Cell("S", 100, 50),
    Cell("S", 100, 100),
    Cell("D", 100, 25),
    Cell("D", 100, 50),
    Cell("D", 100, 100),
    Cell("P", 100, 15, r=0),
    Cell("P", 100, 25, r=0),
    Cell("P", 100, 50, r=0),
    Cell("G", 100, 20, r=3),
    Cell("G", 200, 50, k=6, r=6),
)
SMALL = (
    Cell("S", 40, 15),
    Cell("D", 40, 15),
    Cell("P", 40, 12, r=0),
    Cell("G", 30, 10, r=3),
    Cell("G", 60, 15, r=3),
)
CELLS = REFERENCE + SMALL


def simulate_draw(cell: Cell, draw: int) -> gife.datasets.SimulatedPanel:
    """Panel number `draw` of a cell: its own stream, whatever else was drawn before."""
    key = (_DESIGNS.index(cell.design), cell.n, cell.t, draw)
    seed = np.random.SeedSequence(ENTROPY, spawn_key=key)
    return gife.datasets.simulate(cell.design, cell.n, cell.t, n_groups=cell.k, random_state=seed)  # type: ignore[arg-type]


def one_draw(cell: Cell, draw: int) -> list[dict[str, Any]]:
    """Fit panel `draw` in every way; one row for each fit."""
    panel = simulate_draw(cell, draw)
    out = []
    for label, fit in _fits(cell, panel):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", GifepanelWarning)
            results = fit("nonrobust")
            if label["fit"] != "oracle":
                results = results.get_robustcov_results("nonrobust", groups_known=True)
            robust = results.get_robustcov_results("HC1")
        oracle = label["fit"] == "oracle"
        groups = panel.truth.groups if oracle else results.groups.to_numpy()
        row = {"design": cell.design, "n": cell.n, "t": cell.t, "draw": draw, **label}
        row |= score(panel, groups, results, robust, dynamic=cell.design == "D")
        row["converged"] = int(results.converged)
        row["warnings"] = sum(issubclass(w.category, GifepanelWarning) for w in caught)
        if oracle:
            row["bound"] = known_slopes_accuracy(panel)
        out.append(row)
    return out


def _fits(cell: Cell, panel: gife.datasets.SimulatedPanel) -> Iterator[tuple[dict[str, Any], Any]]:
    """Labels and functions of `cov_type`: ours, refined and nearest, and the oracle that knows the groups."""
    dynamic = cell.design == "D"
    shared: dict[str, Any] = {"n_factors": cell.r}
    if cell.design == "P":
        shared["absorb"] = "entity"
    first = [0] if dynamic else []
    model = gife.GroupedIFE(panel.y, panel.x, n_groups=cell.k, predetermined=first, **shared)
    # the published terms, which the figures beside ours are of; bench_bias.py has the default
    default = "moon-weidner-b1" if dynamic else "none"
    corrections = ("none", "moon-weidner-b1", "moon-weidner") if dynamic else ("none",)
    bandwidth = {"m1": 2} if dynamic else {}

    def fitter(model: Any, **options: Any) -> Any:
        return lambda cov_type: model.fit(cov_type=cov_type, **bandwidth, **options)

    for correction in corrections:
        label = {"fit": "refined", "correction": correction, "kappa_scale": 1.0}
        yield label, fitter(model, bias_correction=correction)
    label = {"fit": "nearest", "correction": default, "kappa_scale": 1.0}
    yield label, fitter(model, bias_correction=default, classify="nearest")
    for scale in cell.scales:
        for classify in ("refined", "nearest"):
            label = {"fit": classify, "correction": default, "kappa_scale": scale}
            yield label, fitter(model, bias_correction=default, classify=classify, kappa_scale=scale)
    # a search ten times as long, from other draws: what `missed` is measured against
    label = {"fit": "longer", "correction": "none", "kappa_scale": 1.0}
    yield label, fitter(model, bias_correction=False, n_starts=10, random_state=1)
    p = panel.x.shape[2]
    known = [k * p for k in range(cell.k)] if dynamic else []
    oracle = gife.InteractiveFE(panel.y, interacted(panel), **shared, predetermined=known)
    for correction in corrections:
        label = {"fit": "oracle", "correction": correction, "kappa_scale": 1.0}
        yield label, fitter(oracle, bias_correction=correction)


def interacted(panel: gife.datasets.SimulatedPanel) -> Array:
    """Regressors times indicators of the true groups, (N, T, K p): what an oracle regresses on."""
    n, t, p = panel.x.shape
    out = np.zeros((n, t, panel.n_groups, p))
    out[np.arange(n), :, panel.truth.groups - 1] = panel.x
    return out.reshape(n, t, -1)


def known_slopes_accuracy(panel: gife.datasets.SimulatedPanel) -> float:
    """Share of entities classified rightly by least squares at the true slopes and factors."""
    n, t, _ = panel.x.shape
    factors = panel.truth.factors if panel.truth.factors.shape[1] else np.ones((t, 1))
    basis = np.linalg.qr(factors)[0]
    ssr = []
    for alpha in panel.truth.alpha:
        resid = panel.y - panel.x @ alpha
        ssr.append(((resid - resid @ basis @ basis.T) ** 2).sum(axis=1))
    return float((np.argmin(ssr, axis=0) + 1 == panel.truth.groups).sum() / n)


def match_groups(truth: Any, estimate: Any, n_groups: int) -> tuple[np.ndarray[Any, np.dtype[np.int64]], float]:
    """The permutation of estimated labels that agrees best with the true ones, and its share of agreement.

    Both label vectors are 1..K; entry k of the permutation is the estimated group (from 0) that true group k + 1 is.
    """
    counts = np.zeros((n_groups, n_groups), dtype=np.int64)
    np.add.at(counts, (np.asarray(truth) - 1, np.asarray(estimate) - 1), 1)
    rows, columns = linear_sum_assignment(-counts)
    return columns, float(counts[rows, columns].sum() / len(truth))


def score(panel: Any, groups: Any, results: Any, robust: Any, *, dynamic: bool) -> Mapping[str, Any]:
    """Accuracy, errors of slopes and coverage of one fit.

    ``rmse_unit`` is sqrt(mean_ij (alpha^_{g^(i), j} - alpha_{g(i), j})^2) over units and regressors; ``rmse_coef``
    sqrt(mean_kj (alpha^_kj - alpha_kj)^2) over groups matched and regressors; ``cover`` the share of the K p nominal
    95 % intervals that hold their coefficient.
    """
    alpha, truth = panel.truth.alpha, panel.truth.groups
    shape = alpha.shape
    permutation, accuracy = match_groups(truth, groups, shape[0])
    estimate = np.asarray(results.params).reshape(shape)
    error = estimate[permutation] - alpha
    unit = estimate[np.asarray(groups) - 1] - alpha[truth - 1]
    inside = _covered(results, permutation, alpha)
    inside_robust = _covered(robust, permutation, alpha)
    row = {
        "accuracy": accuracy,
        "rmse_unit": float(np.sqrt(np.mean(unit**2))),
        "rmse_coef": float(np.sqrt(np.mean(error**2))),
        "cover": float(inside.mean()),
        "cover_hc1": float(inside_robust.mean()),
        "ssr": float(results.ssr),
    }
    if dynamic:
        row |= {
            "lag_bias": float(error[:, 0].mean()),
            "lag_cover": float(inside[:, 0].mean()),
            "lag_cover_hc1": float(inside_robust[:, 0].mean()),
        }
    return row


def _covered(results: Any, permutation: Any, alpha: Array) -> np.ndarray[Any, np.dtype[np.bool_]]:
    interval = np.asarray(results.conf_int()).reshape(*alpha.shape, 2)[permutation]
    return np.asarray((interval[..., 0] <= alpha) & (alpha <= interval[..., 1]))
