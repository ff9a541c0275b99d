"""Tests of slope homogeneity: Pesaran & Yamagata (2008), and Ando & Bai (2015) under factors."""

from __future__ import annotations

from math import sqrt

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from gifepanel.exceptions import DataError
from gifepanel.inference.space import FloatArray, orthonormal_basis
from gifepanel.inference.testresult import TestResult

__all__ = ["ando_bai", "pesaran_yamagata", "slope_homogeneity", "unidentified_slopes"]

BoolArray = npt.NDArray[np.bool_]

_NULL = "all entities have the same slopes"
_RELATIVE = 1e-8
_ROUNDS = 200


def pesaran_yamagata(y: npt.ArrayLike, x: npt.ArrayLike, *, adjusted: bool = True) -> TestResult:
    """Dispersion test of Pesaran & Yamagata (2008, J. Econometrics 142, 50-93).

    With M_i the within transformation, sigma_i^2 the residual variances at the pooled within estimate and
    b_W the estimate weighted by 1/sigma_i^2, ``S = sum_i (b_i - b_W)' X_i'M X_i (b_i - b_W) / sigma_i^2``;
    then ``Delta = sqrt(N) (S/N - p) / sqrt(2p)``, adjusted ``sqrt(N) (S/N - p) / sqrt(2p (T-p-1)/(T+1))``.
    In a panel with holes every sum is over observed periods and every term d_i of S has its own T_i:
    ``Delta = N^-1/2 sum_i (d_i - p) / sqrt(2p (T_i-p-1)/(T_i+1))``, their form for unbalanced panels.

    Parameters
    ----------
    y : array_like, shape (N, T)
        Outcome.
    x : array_like, shape (N, T, p)
        Strictly exogenous regressors; entity effects are taken out here. NaN, here or in the outcome, marks cells that
        are not observed.
    adjusted : bool
        The small-T variance.

    Returns
    -------
    TestResult
        One-sided: slopes that differ make the statistic large.

    Raises
    ------
    DataError
        If there are too few periods, or a regressor does not vary within an entity.

    Examples
    --------
    >>> import gifepanel as gife
    >>> panel = gife.datasets.simulate("P", n_entities=40, n_times=30, random_state=1)
    >>> from gifepanel import diagnostics
    >>> round(diagnostics.pesaran_yamagata(panel.y, panel.x).statistic, 1)
    24.9
    """
    yc, xc, observed = _on_cells(y, x)
    n, t, p = xc.shape
    counts = np.full(n, float(t)) if observed is None else observed.sum(axis=1).astype(np.float64)
    _check_periods(counts, t, p)
    within = xc - xc.mean(axis=1, keepdims=True) if observed is None else _centred(xc, observed[:, :, None])
    _check_slopes(xc, within)
    yc, xc = yc - yc.mean(axis=1, keepdims=True) if observed is None else _centred(yc, observed), within
    flat = xc.reshape(-1, p)
    pooled = np.linalg.solve(flat.T @ flat, flat.T @ yc.ravel())
    variances = np.sum((yc - xc @ pooled) ** 2, axis=1) / (counts - 1)
    gram = np.matmul(xc.transpose(0, 2, 1), xc)
    cross = np.matmul(xc.transpose(0, 2, 1), yc[:, :, None])[:, :, 0]
    weighted = np.linalg.solve(np.tensordot(1 / variances, gram, axes=1), np.tensordot(1 / variances, cross, axes=1))
    gap = np.linalg.solve(gram, cross[:, :, None])[:, :, 0] - weighted
    terms = np.einsum("ip,ipq,iq->i", gap, gram, gap) / variances
    if observed is None:
        variance = 2 * p * (t - p - 1) / (t + 1) if adjusted else 2 * p
        delta = sqrt(n) * (float(np.sum(terms)) / n - p) / sqrt(variance)
    else:
        spread = 2 * p * (counts - p - 1) / (counts + 1) if adjusted else np.full(n, 2.0 * p)
        delta = float(np.sum((terms - p) / np.sqrt(spread))) / sqrt(n)
    name = "Pesaran-Yamagata adjusted Delta" if adjusted else "Pesaran-Yamagata Delta"
    return TestResult(name, delta, float(ndtr(-delta)), None, "N(0,1), upper tail", _NULL)


def ando_bai(
    x: npt.ArrayLike,
    unit_params: npt.ArrayLike,
    resid: npt.ArrayLike,
    factors: npt.ArrayLike,
    loadings: npt.ArrayLike,
) -> TestResult:
    """Slope homogeneity under factors, Ando & Bai (2015, Economics Letters 136, 112-117).

    With b the stacked (b_i - mean b), S = blockdiag(X_i'M_F X_i/T), L_ij = a_ij X_i'M_F X_j/T,
    a_ij = lambda_i'(Lambda'Lambda/N)^-1 lambda_j and Omega = blockdiag(sigma^2 X_i'M_F X_i/T),
    ``Gamma = T b'(S - L/N) Omega^-1 (S - L/N)' b`` and the statistic is ``(Gamma - Np)/sqrt(2Np)``.

    ``(S - L/N)' b`` are products of the regressors, less their part along the factors, with what the fit by b leaves
    when factors and loadings may move too: ``X_i'M_F (X_i b_i - sum_j a_ij M_F X_j b_j / N)/T``. In a panel with holes
    M_F is that of the entity's observed periods, and the part along the loadings is found period by period from the
    entities observed in it.

    Parameters
    ----------
    x : array_like, shape (N, T, p)
        Regressors as they were fitted.
    unit_params : array_like, shape (N, p)
        Entity-wise slopes of the heterogeneous-slope factor model, iterated to convergence.
    resid : array_like, shape (N, T)
        Its residuals, NaN in cells that are not observed.
    factors : array_like, shape (T, R)
        Its factors (known ones, such as iota under entity effects, may stand among them).
    loadings : array_like, shape (N, R')
        Loadings of the estimated factors.

    Returns
    -------
    TestResult
        One-sided: slopes that differ make the statistic large.

    Raises
    ------
    DataError
        If shapes disagree, or a regressor does not vary beyond the factors within an entity.

    Notes
    -----
    sigma^2 is the residual sum of squares over n - Np - R(N + T - R), n = NT less the cells that are not observed.

    Examples
    --------
    >>> import numpy as np
    >>> import gifepanel as gife
    >>> panel = gife.datasets.simulate("S", n_entities=40, n_times=30, random_state=1)
    >>> model = gife.GroupedIFE.from_formula("y ~ 0 + x1 + x2", panel.data, n_groups=3, n_factors=2)
    >>> res = model.fit()
    >>> from gifepanel import diagnostics
    >>> units = res.unit_params
    >>> fitted = np.einsum("itp,ip->it", panel.x, units)
    >>> left = panel.y - fitted
    >>> u, s, v = np.linalg.svd(left, full_matrices=False)
    >>> factors = np.sqrt(left.shape[1]) * v[:2].T
    >>> loadings = left @ factors / left.shape[1]
    >>> test = diagnostics.ando_bai(panel.x, units, left - loadings @ factors.T, factors, loadings)
    >>> bool(test.pvalue < 0.01)
    True
    """
    e, xc, observed = _on_cells(resid, x)
    n, t, p = xc.shape
    b = np.asarray(unit_params, dtype=np.float64).reshape(n, p)
    gap = b - b.mean(axis=0)
    lam = np.asarray(loadings, dtype=np.float64).reshape(n, -1)
    basis = orthonormal_basis(factors, n_rows=t)
    off = None if observed is None else _OffFactors(basis, observed)
    z = xc - np.matmul(basis, np.matmul(basis.T, xc)) if off is None else off(xc)
    _check_slopes(xc, z)
    rank = basis.shape[1]
    nobs = n * t if observed is None else int(observed.sum())
    sigma2 = float(np.vdot(e, e)) / (nobs - n * p - rank * (n + t - rank))
    gram = np.matmul(z.transpose(0, 2, 1), z) / t
    own = np.einsum("ipq,iq->ip", gram, gap)
    fitted = np.matmul(z, gap[:, :, None])[:, :, 0]
    if off is None:
        shared = lam @ np.linalg.solve(lam.T @ lam / n, lam.T @ fitted)
        score = own - np.matmul(z.transpose(0, 2, 1), shared[:, :, None])[:, :, 0] / (t * n)
    else:
        score = own - np.matmul(z.transpose(0, 2, 1), off.along_loadings(fitted, lam)[:, :, None])[:, :, 0] / t
    gamma = t * float(np.sum(score * np.linalg.solve(gram, score[:, :, None])[:, :, 0])) / sigma2
    statistic = (gamma - n * p) / sqrt(2 * n * p)
    return TestResult("Ando-Bai", statistic, float(ndtr(-statistic)), None, "N(0,1), upper tail", _NULL)


class _OffFactors:
    """Panels less their part along the factors, in every entity over its own observed periods."""

    def __init__(self, basis: FloatArray, observed: BoolArray) -> None:
        self._basis, self._mask = basis, observed.astype(np.float64)
        self._inverse = np.linalg.pinv(self._moments(self._mask, basis), rcond=1e-10, hermitian=True)

    @staticmethod
    def _moments(mask: FloatArray, columns: FloatArray) -> FloatArray:
        """Sums over the observed, by row of the mask, of products of the columns (m, r): (rows, r, r)."""
        r = columns.shape[1]
        outer = (columns[:, :, None] * columns[:, None, :]).reshape(len(columns), r * r)
        return np.asarray(mask @ outer).reshape(len(mask), r, r)

    def __call__(self, cube: FloatArray) -> FloatArray:
        """(N, T) or (N, T, q), zero in holes."""
        flat = cube if cube.ndim == 3 else cube[:, :, None]
        out = flat - np.matmul(self._basis, self._inverse @ np.matmul(self._basis.T, flat))
        return np.asarray((out * self._mask[:, :, None]).reshape(cube.shape))

    def along_loadings(self, fitted: FloatArray, loadings: FloatArray) -> FloatArray:
        """The part lambda_i'phi_t of a panel off the factors (N, T): least squares, by conjugate gradients on phi.

        Preconditioned by the moments of the loadings of a period, which are all there is without holes.
        """
        weights = np.linalg.pinv(self._moments(self._mask.T, loadings), rcond=1e-10, hermitian=True)

        def scaled(g: FloatArray) -> FloatArray:
            return np.asarray(np.einsum("trs,ts->tr", weights, g))

        phi, left = np.zeros((fitted.shape[1], loadings.shape[1])), fitted.T @ loadings
        direction = step = scaled(left)
        length = first = float(np.vdot(left, step))
        for _ in range(_ROUNDS):
            if length <= 1e-24 * first:
                break
            moved = self(loadings @ direction.T * self._mask).T @ loadings
            share = length / float(np.vdot(direction, moved))
            phi, left = phi + share * direction, left - share * moved
            step = scaled(left)
            before, length = length, float(np.vdot(left, step))
            direction = step + length / before * direction
        return np.asarray(loadings @ phi.T * self._mask)


def slope_homogeneity(
    y: npt.ArrayLike,
    x: npt.ArrayLike,
    *,
    unit_params: npt.ArrayLike | None = None,
    resid: npt.ArrayLike | None = None,
    factors: npt.ArrayLike | None = None,
    loadings: npt.ArrayLike | None = None,
) -> TestResult:
    """Slope homogeneity: :func:`ando_bai` where factors are given, :func:`pesaran_yamagata` otherwise.

    Parameters
    ----------
    y, x : array_like, shape (N, T) and (N, T, p)
        Outcome and regressors.
    unit_params, resid, factors, loadings : array_like, optional
        Estimates of the heterogeneous-slope factor model, all four or none.

    Returns
    -------
    TestResult

    Examples
    --------
    >>> import gifepanel as gife
    >>> panel = gife.datasets.simulate("P", n_entities=40, n_times=30, random_state=1)
    >>> from gifepanel import diagnostics
    >>> diagnostics.slope_homogeneity(panel.y, panel.x).name
    'Pesaran-Yamagata adjusted Delta'
    """
    if unit_params is None and resid is None and factors is None and loadings is None:
        return pesaran_yamagata(y, x)
    if unit_params is None or resid is None or factors is None or loadings is None:
        raise DataError(
            "Some of unit_params, resid, factors and loadings are missing.",
            "The test under factors needs all four.",
            "Pass them all, or none.",
        )
    return ando_bai(x, unit_params, resid, factors, loadings)


def _on_cells(y: npt.ArrayLike, x: npt.ArrayLike) -> tuple[FloatArray, FloatArray, BoolArray | None]:
    """Panel and regressors, zero in cells where one of them is missing, and the mask of the others if some are."""
    panel, cube = _check(y, x)
    if np.isinf(panel).any() or np.isinf(cube).any():
        raise DataError("Some values are infinite.", "They must be numbers, NaN where a cell is not observed.", None)
    observed = ~(np.isnan(panel) | np.isnan(cube).any(axis=2))
    if observed.all():
        return panel, cube, None
    return np.where(observed, panel, 0.0), np.where(observed[:, :, None], cube, 0.0), observed


def _centred(cube: FloatArray, observed: BoolArray) -> FloatArray:
    """Less the mean over observed periods, zero in holes."""
    means = cube.sum(axis=1, keepdims=True) / np.maximum(observed.sum(axis=1, keepdims=True), 1)
    return np.asarray((cube - means) * observed)


def _check_periods(counts: FloatArray, t: int, p: int) -> None:
    """Entities need more than p + 2 periods."""
    short = np.flatnonzero(counts <= p + 2)
    if not short.size:
        return
    found, fix = f"{t} periods for {p} slopes in each entity.", "Drop regressors."
    if (counts != t).any():
        between = f"{int(counts.min())} to {int(counts[short].max())} periods"
        found = f"{short.size} of {len(counts)} entities have {between} for {p} slopes."
        fix = f"keep = [i for i in range({len(counts)}) if i not in {short.tolist()}]; y, x = y[keep], x[keep]"
    raise DataError(found, f"More than {p + 2} are needed.", fix)


def _check(y: npt.ArrayLike, x: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    panel, cube = np.asarray(y, dtype=np.float64), np.asarray(x, dtype=np.float64)
    if cube.ndim != 3 or panel.shape != cube.shape[:2]:
        raise DataError(
            f"Regressors have shape {cube.shape} and the panel {panel.shape}.",
            "They must be (N, T, p) and (N, T).",
            "Pass entities along axis 0, periods along axis 1 and regressors along axis 2.",
        )
    return panel, cube


def unidentified_slopes(before: FloatArray, after: FloatArray) -> npt.NDArray[np.bool_]:
    """Which entities do not identify which slopes.

    Parameters
    ----------
    before, after : ndarray, shape (N, T, p)
        Regressors as they are, and less what is taken out of each entity.

    Returns
    -------
    ndarray of bool, shape (N, p)
        True where nothing is left of a regressor, or where the others before it span it.
    """
    length = np.sqrt(np.einsum("itp,itp->ip", after, after))
    out = length <= _RELATIVE * np.sqrt(np.einsum("itp,itp->ip", before, before))
    unit = after / np.where(out, np.inf, np.where(length > 0, length, 1.0))[:, None, :]
    for j in range(1, unit.shape[2]):
        others, column = unit[:, :, :j], unit[:, :, j : j + 1]
        left = column - others @ (np.linalg.pinv(others, rcond=_RELATIVE) @ column)
        out[:, j] |= np.sqrt(np.einsum("ito,ito->i", left, left)) <= _RELATIVE
    return out


def _check_slopes(before: FloatArray, after: FloatArray) -> None:
    lost = unidentified_slopes(before, after)
    entities = np.flatnonzero(lost.any(axis=1))
    if not entities.size:
        return
    first = int(entities[0])
    raise DataError(
        f"{entities.size} of {len(lost)} entities do not identify all slopes: regressor "
        f"{int(lost[first].argmax()) + 1} does not vary by itself within entity {first + 1}.",
        "Slopes of each entity need regressors that vary over time within it.",
        f"keep = [i for i in range({len(lost)}) if i not in {entities.tolist()}]; y, x = y[keep], x[keep]",
    )
