"""Codes of integers and rows alone in a level, on large data."""

from __future__ import annotations

from gifepanel.kernels._jit import jit

__all__ = ["add_counts", "mark_integers", "recode"]


@jit
def mark_integers(values, low, first, last, offsets, occurs):
    """Distance of the values first..last-1 from the lowest, and which distances occur; `occurs` is only set."""
    for i in range(first, last):
        at = values[i] - low
        offsets[i] = at
        occurs[at] = True


@jit
def recode(codes, new, first, last):
    """codes <- new[codes] over the rows first..last-1, in place."""
    for i in range(first, last):
        codes[i] = new[codes[i]]


@jit
def add_counts(codes, first, last, counts):
    """Rows of every level among the rows first..last-1, added to `counts`."""
    for i in range(first, last):
        counts[codes[i]] += 1
