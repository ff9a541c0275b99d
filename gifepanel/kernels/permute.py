"""Rows brought into another order where they are."""

from __future__ import annotations

import numpy as np

from gifepanel.kernels._jit import jit

__all__ = ["permute_rows"]


@jit
def permute_rows(values, order):
    """Row i becomes what row ``order[i]`` was, in place; `values` (N, m), `order` (N,) a permutation."""
    n, m = values.shape
    done = np.zeros(n, dtype=np.bool_)
    kept = np.empty(m)
    for first in range(n):
        if done[first] or order[first] == first:
            continue
        for j in range(m):
            kept[j] = values[first, j]
        i = first
        while True:
            done[i] = True
            source = order[i]
            if source == first:
                for j in range(m):
                    values[i, j] = kept[j]
                break
            for j in range(m):
                values[i, j] = values[source, j]
            i = source
