"""Weights of the wild bootstrap, one per cluster and draw."""

from __future__ import annotations

import numbers
from collections.abc import Iterator
from math import sqrt
from typing import Literal, get_args

import numpy as np

from gifepanel.exceptions import SpecificationError
from gifepanel.inference.space import FloatArray

__all__ = ["WildDistribution", "draw_weights", "wild_scheme"]

WildDistribution = Literal["auto", "rademacher", "webb", "mammen"]

_FEW = 12  # below this many clusters Rademacher weights have too few different draws
_WEBB = np.array([-sqrt(1.5), -1.0, -sqrt(0.5), sqrt(0.5), 1.0, sqrt(1.5)])
_MAMMEN = np.array([(1 - sqrt(5)) / 2, (1 + sqrt(5)) / 2])
_MAMMEN_FIRST = (sqrt(5) + 1) / (2 * sqrt(5))


def wild_scheme(distribution: str, n_groups: int, n_draws: int) -> tuple[str, bool, int]:
    """Which weights are drawn, whether all sign patterns are enumerated, and the number of draws.

    Parameters
    ----------
    distribution : {"auto", "rademacher", "webb", "mammen"}
        ``"auto"``: Rademacher from 12 clusters on, Webb below (Webb 2023, Canadian J. of Economics 56).
    n_groups : int
        G.
    n_draws : int
        Draws asked for. Rademacher weights have 2^G patterns: where that is no more than `n_draws` (G up to 13 for 9999
        draws) each is taken once.

    Returns
    -------
    (str, bool, int)

    Raises
    ------
    SpecificationError
        If the name is unknown or `n_draws` not positive.

    Examples
    --------
    >>> wild_scheme("auto", 40, 9999)
    ('rademacher', False, 9999)
    >>> wild_scheme("auto", 12, 9999)
    ('rademacher', True, 4096)
    >>> wild_scheme("auto", 8, 9999)
    ('webb', False, 9999)
    """
    whole = isinstance(n_draws, numbers.Integral) and not isinstance(n_draws, bool)
    if distribution not in get_args(WildDistribution) or not whole or n_draws < 1:
        raise SpecificationError(
            f"{n_draws!r} draws of distribution {distribution!r} were asked for.",
            f"Known are {', '.join(get_args(WildDistribution))}, with one draw or more.",
            "Use distribution='auto', n_draws=9999.",
        )
    name = distribution if distribution != "auto" else ("rademacher" if n_groups >= _FEW else "webb")
    enumerate_all = name == "rademacher" and n_groups < 31 and 2**n_groups <= n_draws
    return name, enumerate_all, 2**n_groups if enumerate_all else n_draws


def draw_weights(
    name: str, n_groups: int, n_draws: int, *, enumerated: bool, rng: np.random.Generator, block: int
) -> Iterator[FloatArray]:
    """Weights in blocks (G, b) of draws, the same whatever the block length.

    Parameters
    ----------
    name : {"rademacher", "webb", "mammen"}
        Signs with probability 1/2; the six points of Webb; the two points of Mammen (1993, Annals of Statistics 21).
    n_groups, n_draws : int
    enumerated : bool
        All sign patterns in turn; the first is all ones, the data as they are.
    rng : numpy.random.Generator
    block : int
        Draws at once.

    Yields
    ------
    ndarray, shape (G, b)
    """
    for first in range(0, n_draws, block):
        size = min(block, n_draws - first)
        if enumerated:
            patterns = np.arange(first, first + size, dtype=np.int64)
            yield np.where((patterns[None, :] >> np.arange(n_groups)[:, None]) & 1, -1.0, 1.0)
            continue
        uniform = rng.random((size, n_groups)).T
        if name == "rademacher":
            yield np.where(uniform < 0.5, -1.0, 1.0)
        elif name == "webb":
            yield _WEBB[(6 * uniform).astype(np.int8)]
        else:
            yield _MAMMEN[(uniform >= _MAMMEN_FIRST).astype(np.int8)]
