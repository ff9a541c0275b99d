"""Effects of indicators of cells, estimated beside a fit: one step of least squares from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gifepanel.inference.counterfactual import FittedCells
from gifepanel.inference.estimate import FactorEstimate

__all__ = ["Leads", "fit_leads"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Leads:
    """Coefficients of k indicators.

    Attributes
    ----------
    effects : ndarray, shape (k,)
    cov : ndarray, shape (k, k)
    df : float
    note : str
    n_clusters : int
        Entities whose scores are summed; 0 where none are.
    """

    effects: FloatArray
    cov: FloatArray
    df: float
    note: str = ""
    n_clusters: int = 0

    def wald(self) -> tuple[float, int, float]:
        """F statistic that all are zero, its numerator's rank and its denominator's degrees of freedom.

        With sums over G entities it is that of Hotelling, (G - k) / (G - 1) times the Wald statistic over k, with k and
        G - k degrees of freedom.
        """
        rank = int(np.linalg.matrix_rank(self.cov, hermitian=True))
        value = float(self.effects @ np.linalg.pinv(self.cov, hermitian=True) @ self.effects) / max(rank, 1)
        if not self.n_clusters:
            return value, rank, self.df
        return value * (self.n_clusters - rank) / (self.n_clusters - 1), rank, float(self.n_clusters - rank)


def fit_leads(estimate: FactorEstimate, indicators: FloatArray, fit: FittedCells, kind: str) -> Leads:
    """Regress residuals on indicators projected off the tangent space of the fit and off its regressors.

    Without factors these are the coefficients that the indicators would have as further regressors; with factors one
    Gauss-Newton step towards them, and the test that all are zero is a score test.

    Parameters
    ----------
    estimate : FactorEstimate
    indicators : ndarray, shape (N, T, k)
    fit : FittedCells
    kind : {"cluster", "HC2", "nonrobust"}
        With "cluster", scores are summed within entities where more than k + 1 of them have such cells; else errors are
        taken as independent.

    References
    ----------
    Borusyak, K., X. Jaravel and J. Spiess (2024). Revisiting event-study designs: robust and efficient estimation.
    *Review of Economic Studies* 91, 3253-3285.
    """
    k = indicators.shape[2]
    d = estimate.project(indicators)
    if fit.z.shape[2]:
        z = fit.z_projected
        d = d - np.einsum("ntq,qk->ntk", z, fit.slope_inverse @ np.einsum("ntq,ntk->qk", z, d))
    bread = np.linalg.pinv(np.einsum("ntk,ntl->kl", d, d), hermitian=True)
    effects = bread @ np.einsum("ntk,nt->k", d, fit.resid)
    resid = fit.resid - d @ effects
    df = fit.df_resid - k
    n_entities = int(indicators.any(axis=(1, 2)).sum())
    if kind == "nonrobust" or (kind == "cluster" and n_entities <= k + 1):
        sigma2 = float(np.vdot(resid, resid)) / df
        note = "" if kind == "nonrobust" else "Too few treated entities to sum errors within them."
        return Leads(effects, sigma2 * bread, df, note)
    if kind == "cluster":
        scores = np.einsum("ntk,nt->nk", d, resid)
        factor = fit.nobs / df * n_entities / (n_entities - 1)
        cov = factor * bread @ (scores.T @ scores) @ bread
        return Leads(effects, cov, float(n_entities - 1), n_clusters=n_entities)
    squares = np.where(fit.resid != 0, fit.squares * (resid / np.where(fit.resid != 0, fit.resid, 1.0)) ** 2, 0.0)
    return Leads(effects, bread @ np.einsum("ntk,nt,ntl->kl", d, squares, d) @ bread, df)
