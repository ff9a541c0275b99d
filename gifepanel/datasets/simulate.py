"""Panels drawn from known equations, with the truth attached."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from gifepanel.exceptions import SpecificationError
from gifepanel.short_repr import ShortRepr

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["SimulatedPanel", "Truth", "simulate"]

Design = Literal["S", "D", "P", "G"]
Seed = int | np.random.SeedSequence | np.random.Generator | None

_SHARES = (0.3, 0.3, 0.4)
_STATIC = np.array([[0.4, 1.6], [1.0, 1.0], [1.6, 0.4]])
_DYNAMIC = np.array([[0.8, 0.4, 1.6], [0.6, 1.0, 1.0], [0.4, 1.6, 0.4]])
_BURN_IN = 50


@dataclass(frozen=True, eq=False, repr=False)
class Truth(ShortRepr):
    """What a panel was made of.

    ``y[i] = x[i] @ alpha[groups[i] - 1] + effects[i] + factors @ loadings[i] + errors[i]`` for every entity.

    Attributes
    ----------
    groups : (N,) int array
        Labels 1..K, in the lexicographic order of `alpha`.
    alpha : (K, p) array
        Slopes by group, rows in lexicographic order.
    factors : (T, R) array
        Common factors, as drawn: not normalised to F'F/T = I.
    loadings : (N, R) array
    effects : (N,) array
        Additive effects of the entities; zeros where the design has none.
    errors : (N, T) array

    Examples
    --------
    >>> import gifepanel as gife
    >>> panel = gife.datasets.simulate("S", n_entities=40, n_times=30, random_state=1)
    >>> panel.truth.alpha.tolist()
    [[0.4, 1.6], [1.0, 1.0], [1.6, 0.4]]
    """

    groups: NDArray[np.int64]
    alpha: NDArray[np.float64]
    factors: NDArray[np.float64]
    loadings: NDArray[np.float64]
    effects: NDArray[np.float64]
    errors: NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class SimulatedPanel(ShortRepr):
    """A simulated panel as a data frame and as arrays.

    Attributes
    ----------
    design : str
        "S", "D", "P" or "G".
    data : DataFrame
        Index (entity, time), columns y, x1, x2, ...: N·T rows, entities and times counted from 1. In design D
        N·(T + 1) rows: times from 0, so that T periods stay once the outcome is lagged.
    y : (N, T) array
    x : (N, T, p) array
        In design D the first regressor is the outcome of the period before.
    truth : Truth
    formula : str
        The formula that fits the design on `data`.
    n_groups, n_factors : int
        Numbers of groups and factors of the design.

    Examples
    --------
    >>> import gifepanel as gife
    >>> panel = gife.datasets.simulate("S", n_entities=40, n_times=30, random_state=1)
    >>> panel.formula, panel.n_groups, panel.y.shape
    ('y ~ 0 + x1 + x2', 3, (40, 30))
    """

    design: str
    data: pd.DataFrame
    y: NDArray[np.float64]
    x: NDArray[np.float64]
    truth: Truth
    formula: str

    @property
    def n_groups(self) -> int:
        """Number of groups K."""
        return len(self.truth.alpha)

    @property
    def n_factors(self) -> int:
        """Number of factors R."""
        return self.truth.factors.shape[1]


def simulate(
    design: Design = "S",
    n_entities: int = 100,
    n_times: int = 50,
    *,
    n_groups: int = 3,
    random_state: Seed = 0,
) -> SimulatedPanel:
    r"""Draw a panel from one of four designs.

    Errors :math:`\varepsilon_{it}` are N(0, 1), independent of everything. In S, D and P three groups have
    the shares .3, .3 and .4 (in the order of the slopes below) and the entities stand in blocks, group 1
    first; labels follow the lexicographic order of the slopes.

    Parameters
    ----------
    design : {"S", "D", "P", "G"}
        The equations, under Notes.
    n_entities, n_times : int
        N, and T, the number of periods that a fit can use.
    n_groups : int
        Number of groups in design G; the others have 3.
    random_state : int, SeedSequence, Generator or None
        Seed of ``numpy.random.default_rng``.

    Returns
    -------
    SimulatedPanel

    Raises
    ------
    SpecificationError
        If there is no such design, or if its panel can't have the sizes asked for.

    Notes
    -----
    S, static with two factors: :math:`\lambda_i \sim N(.5 \iota, I_2)`, :math:`f_t \sim N(0, I_2)`,

    .. math::

        x_{it,j} &= z_{it,j} + .5 \lambda_i'f_t + .25 \iota'\lambda_i + .25 \iota'f_t,
            \quad z_{it,j} \sim N(0, 1), \; j = 1, 2 \\
        y_{it} &= x_{it}'\alpha_{g_i} + \lambda_i'f_t + \varepsilon_{it},
            \quad \alpha = (.4, 1.6), (1, 1), (1.6, .4).

    D, dynamic with two factors: :math:`\lambda_i \sim N(.5 \iota, I_2)`,
    :math:`f_t = .5 f_{t-1} + \sqrt{.75} u_t`, :math:`u_t \sim N(0, I_2)` (unit variance), 50 periods of
    burn-in,

    .. math::

        x_{it,j} &= z_{it,j} + .25 \lambda_i'f_t, \quad j = 1, 2 \\
        y_{it} &= \rho_{g_i} y_{i,t-1} + x_{it}'a_{g_i} + \lambda_i'f_t + \varepsilon_{it},
            \quad (\rho, a) = (.8, .4, 1.6), (.6, 1, 1), (.4, 1.6, .4).

    P, additive effects and no factor [1]_: :math:`\mu_i \sim N(0, 1)`,

    .. math::

        x_{it} = .2 \mu_i + z_{it}, \quad z_{it} \sim N(0, I_2), \qquad
        y_{it} = \mu_i + x_{it}'\alpha_{g_i} + \varepsilon_{it}, \quad \alpha \text{ as in S}.

    G, one factor for each group, K factors in all [2]_: groups drawn uniformly,
    :math:`\lambda_i \sim U(1, 5)`, :math:`f_{1g} = u_{1g}`, :math:`f_{tg} = .8 f_{t-1,g} + u_{tg}`,
    :math:`u_{tg} \sim N(0, 1)`,

    .. math::

        x_{it} \sim N(0, I_3), \qquad
        y_{it} = x_{it}'(g_i, g_i, g_i) + \lambda_i f_{t g_i} + \varepsilon_{it}.

    References
    ----------
    .. [1] L. Su, Z. Shi and P. C. B. Phillips (2016). Identifying latent structures in panel data.
       Econometrica 84, 2215-2264.
    .. [2] The published Monte Carlo of the Python package groupedpaneldatamodels.

    Examples
    --------
    >>> panel = simulate("D", n_entities=20, n_times=10, random_state=1)
    >>> panel.y.shape, panel.x.shape, len(panel.data)
    ((20, 10), (20, 10, 3), 220)
    >>> panel.formula
    'y ~ 0 + L(y, 1) + x1 + x2'
    """
    draws = {"S": _static, "D": _dynamic, "P": _additive, "G": _group_factors}
    if design not in draws:
        raise SpecificationError(
            f"There is no design {design!r}.",
            'The designs are "S" (static), "D" (dynamic), "P" (additive effects), "G" (factors by group).',
            'Write simulate("S").',
        )
    if design != "G" and n_groups != 3:
        raise SpecificationError(
            f"Design {design} was asked for with {n_groups} groups.",
            "Designs S, D and P have 3 groups.",
            f'Leave n_groups out, or write simulate("G", n_groups={n_groups}).',
        )
    if min(n_groups, n_times) < 1 or n_entities < n_groups:
        raise SpecificationError(
            f"A panel of {n_entities} entities, {n_times} periods and {n_groups} groups was asked for.",
            "Each group needs an entity, and the panel a period.",
            "Raise n_entities or n_times.",
        )
    return draws[design](n_entities, n_times, n_groups, np.random.default_rng(random_state))


def _static(n: int, t: int, _k: int, rng: np.random.Generator) -> SimulatedPanel:
    groups = _blocks(n, _SHARES)
    loadings = rng.normal(0.5, 1.0, (n, 2))
    factors = rng.standard_normal((t, 2))
    common = loadings @ factors.T
    shift = 0.5 * common + 0.25 * loadings.sum(axis=1)[:, None] + 0.25 * factors.sum(axis=1)
    x = rng.standard_normal((n, t, 2)) + shift[:, :, None]
    errors = rng.standard_normal((n, t))
    truth = Truth(groups, _STATIC.copy(), factors, loadings, np.zeros(n), errors)
    y = _fitted(x, truth) + errors
    return SimulatedPanel("S", _frame(y, x, 1), y, x, truth, "y ~ 0 + x1 + x2")


def _dynamic(n: int, t: int, _k: int, rng: np.random.Generator) -> SimulatedPanel:
    # rows of _DYNAMIC reversed: lexicographic order, and each group keeps its share
    alpha, groups = _DYNAMIC[::-1].copy(), _blocks(n, _SHARES[::-1])
    periods = _BURN_IN + 1 + t
    loadings = rng.normal(0.5, 1.0, (n, 2))
    factors = _autoregression(0.5, np.sqrt(0.75) * rng.standard_normal((periods, 2)), rng.standard_normal(2))
    common = loadings @ factors.T
    x = rng.standard_normal((n, periods, 2)) + 0.25 * common[:, :, None]
    errors = rng.standard_normal((n, periods))
    slopes = alpha[groups - 1]
    pushes = np.einsum("itj,ij->it", x, slopes[:, 1:]) + common + errors
    y = _autoregression(slopes[:, 0], pushes.T, np.zeros(n)).T
    used = slice(_BURN_IN + 1, None)
    cube = np.concatenate([y[:, _BURN_IN:-1, None], x[:, used]], axis=2)
    truth = Truth(groups, alpha, factors[used].copy(), loadings, np.zeros(n), errors[:, used].copy())
    data = _frame(y[:, _BURN_IN:], x[:, _BURN_IN:], 0)
    return SimulatedPanel("D", data, y[:, used].copy(), cube, truth, "y ~ 0 + L(y, 1) + x1 + x2")


def _additive(n: int, t: int, _k: int, rng: np.random.Generator) -> SimulatedPanel:
    groups = _blocks(n, _SHARES)
    effects = rng.standard_normal(n)
    x = rng.standard_normal((n, t, 2)) + 0.2 * effects[:, None, None]
    errors = rng.standard_normal((n, t))
    truth = Truth(groups, _STATIC.copy(), np.empty((t, 0)), np.empty((n, 0)), effects, errors)
    y = _fitted(x, truth) + errors
    return SimulatedPanel("P", _frame(y, x, 1), y, x, truth, "y ~ x1 + x2 | entity")


def _group_factors(n: int, t: int, k: int, rng: np.random.Generator) -> SimulatedPanel:
    groups = rng.integers(1, k + 1, n)
    alpha = np.repeat(np.arange(1.0, k + 1.0)[:, None], 3, axis=1)
    loadings = np.zeros((n, k))
    loadings[np.arange(n), groups - 1] = rng.uniform(1.0, 5.0, n)
    factors = _autoregression(0.8, rng.standard_normal((t, k)), np.zeros(k))
    x = rng.standard_normal((n, t, 3))
    errors = rng.standard_normal((n, t))
    truth = Truth(groups, alpha, factors, loadings, np.zeros(n), errors)
    y = _fitted(x, truth) + errors
    return SimulatedPanel("G", _frame(y, x, 1), y, x, truth, "y ~ 0 + x1 + x2 + x3")


def _blocks(n: int, shares: tuple[float, ...]) -> NDArray[np.int64]:
    """Labels 1..K in blocks with the given shares, (n,); every group has an entity where n >= K."""
    k = len(shares)
    ends = np.rint(np.cumsum(shares) * n).astype(np.int64)
    ends = np.clip(ends, np.arange(1, k + 1), n - np.arange(k)[::-1])
    return np.repeat(np.arange(1, k + 1), np.diff(ends, prepend=0))


def _autoregression(
    rho: float | NDArray[np.float64], pushes: NDArray[np.float64], before: NDArray[np.float64]
) -> NDArray[np.float64]:
    """``z[t] = rho * z[t - 1] + pushes[t]`` along the first axis, with ``z[-1] = before``."""
    out = np.empty_like(pushes)
    for t, push in enumerate(pushes):
        before = out[t] = rho * before + push
    return out


def _fitted(x: NDArray[np.float64], truth: Truth) -> NDArray[np.float64]:
    """The outcome without its error, (N, T)."""
    slopes = truth.alpha[truth.groups - 1]
    return np.einsum("itj,ij->it", x, slopes) + truth.effects[:, None] + truth.loadings @ truth.factors.T


def _frame(y: NDArray[np.float64], x: NDArray[np.float64], first_time: int) -> pd.DataFrame:
    """Long form of (N, T) and (N, T, p), with the index (entity, time)."""
    import pandas as pd

    n, t, p = x.shape
    times = np.arange(first_time, first_time + t)
    index = pd.MultiIndex.from_product([np.arange(1, n + 1), times], names=["entity", "time"])
    columns = np.concatenate([y.reshape(-1, 1), x.reshape(-1, p)], axis=1)
    return pd.DataFrame(columns, index=index, columns=["y", *(f"x{j}" for j in range(1, p + 1))])
