"""Rows that were not in the sample: what absorbed effects predict for them, and whether that is identified."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import sparse

from gifepanel.projections.absorb import Absorption

__all__ = ["hat_rows", "identified"]

Array = np.ndarray[Any, np.dtype[np.float64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]
_DRAWS = 3


def hat_rows(absorption: Absorption, codes: Sequence[Any], values: Sequence[Array | None]) -> Array:
    """D (D'WD)^- d of further rows d of the dummies and slopes D.

    Parameters
    ----------
    absorption : Absorption
    codes : sequence of ndarray of int, each shape (m,)
        Levels of the further rows, by effect.
    values : sequence of ndarray, each shape (m,), or None
        Slope variables of the further rows.

    Returns
    -------
    ndarray, shape (n, m)
        H such that v'W H is what the effects predict for a column v in the further rows. Where their combination of
        levels is not identified there is no such answer, and H means nothing: see :func:`identified`.
    """
    system, m = absorption.system, len(codes[0])
    right = np.zeros((system.size, m))
    for j, g in enumerate(system.others):
        own = values[g]
        right[system.offsets[j] + np.asarray(codes[g]), np.arange(m)] += 1.0 if own is None else own
    out = np.zeros((system.n, m))
    level = np.asarray(codes[system.base]) if system.base >= 0 else None
    if level is not None and system.size:
        right -= (sparse.diags(system.inverse_weights) @ system.cells)[level].T.toarray()
    system.sweep(out, -absorption.inverse(right) if system.size else None)
    if level is not None:
        own_level = np.repeat(np.arange(len(system.starts) - 1), np.diff(system.starts))
        out += (own_level[:, None] == level) * system.inverse_weights[level]
    return system.unsort(out)


def identified(absorption: Absorption, codes: Sequence[Any], values: Sequence[Array | None]) -> BoolArray:
    """Whether the sum of effects of further rows is identified: (m,).

    It is where all solutions of the normal equations give the same: random differences of solutions are tried. Levels
    of different connected components have no identified sum.

    Parameters
    ----------
    absorption : Absorption
    codes, values
        As in :func:`hat_rows`.
    """
    total = np.zeros((len(codes[0]), _DRAWS))
    size = np.zeros(len(codes[0]))
    for null, own, value in zip(_null_vectors(absorption), codes, values, strict=True):
        factor = np.ones(len(total)) if value is None else value
        total += null[np.asarray(own)] * factor[:, None]
        size += np.abs(factor)
    return np.asarray((np.abs(total) <= 1e-4 * size[:, None]).all(axis=1))


def _null_vectors(absorption: Absorption) -> list[Array]:
    """Random vectors that D maps to zero, by effect (L_g, draws): differences of two solutions of one system."""
    rng = np.random.default_rng(0)
    drawn = [rng.standard_normal((effect.n_levels, _DRAWS)) for effect in absorption.effects]
    fitted = np.zeros((absorption.system.n, _DRAWS))
    for effect, own in zip(absorption.effects, drawn, strict=True):
        part = own[np.asarray(effect.codes)]
        fitted += part if effect.values is None else part * effect.values[:, None]
    return [a - b for a, b in zip(drawn, absorption.coefficients(fitted), strict=True)]
