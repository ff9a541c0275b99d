"""A test whose distribution under the null is simulated."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gifepanel.inference.testresult import TestResult
from gifepanel.statsmodels_bridge.hypotheses import check_level
from gifepanel.tables.blocks import Block, Notes, Pairs
from gifepanel.tables.bootstrap import small_probability
from gifepanel.tables.coefficients import number
from gifepanel.tables.printed import Printed

__all__ = ["BootstrapTest"]

Array = np.ndarray[Any, np.dtype[np.float64]]
_ERRORS = {"series": "whole series", "cells": "signs by cell"}


@dataclass(frozen=True, eq=False, repr=False)
class BootstrapTest(Printed, TestResult):
    """A test with its draws under the null; text, HTML, LaTeX and Markdown.

    Attributes
    ----------
    name : str
    statistic : float
    pvalue : float
        One and the draws that are at least as large, over one and the draws.
    df : None
    distribution : str
    null : str
        The null hypothesis, in words.
    note : str
        What a reader should know; may be empty.
    alternative : str
        What the statistic looks for, in words.
    draws : ndarray, shape (B,)
        The statistic under the null, those that failed left out.
    n_failed : int
        Draws whose fit lost a group, or gave no number; they are not counted.
    ssr_null, ssr_alternative : float
        Least squares under both.
    errors : {"series", "cells"}
        How errors were drawn.

    Examples
    --------
    >>> import gifepanel as gife
    >>> panel = gife.datasets.simulate("S", n_entities=40, n_times=15, random_state=1)
    >>> model = gife.GroupedIFE.from_formula("y ~ 0 + x1 + x2", panel.data, n_groups=3, n_factors=2)
    >>> test = model.fit().test_groups(n_draws=9)
    >>> test.null, test.alternative, test.pvalue
    ('one slope for all', '3 groups', 0.1)
    """

    alternative: str = field(default="", kw_only=True)
    draws: Array = field(default_factory=lambda: np.empty(0), kw_only=True)
    n_failed: int = field(default=0, kw_only=True)
    ssr_null: float = field(default=float("nan"), kw_only=True)
    ssr_alternative: float = field(default=float("nan"), kw_only=True)
    errors: str = field(default="series", kw_only=True)

    def critical_value(self, level: float = 0.05) -> float:
        """The value above which the statistic rejects at a level: a quantile of the draws.

        Parameters
        ----------
        level : float
            Between 0 and 1. Infinite where the draws are too few for it: B draws know no level below 1 / (B + 1).

        Examples
        --------
        >>> import gifepanel as gife
        >>> panel = gife.datasets.simulate("S", n_entities=40, n_times=15, random_state=1)
        >>> model = gife.GroupedIFE.from_formula("y ~ 0 + x1 + x2", panel.data, n_groups=3, n_factors=2)
        >>> test = model.fit().test_groups(n_draws=9)
        >>> bool(test.critical_value(0.1) == test.draws.max())
        True
        """
        level = float(check_level(level))
        allowed = int(np.floor(level * (len(self.draws) + 1) + 1e-9)) - 1  # draws at or above, with p <= level
        if allowed < 0:
            return float("inf")
        return float(np.sort(self.draws)[::-1][min(allowed, len(self.draws) - 1)])

    def _content(self, fmt: str) -> tuple[str, list[Block]]:
        critical = self.critical_value()
        left = (
            ("H0", self.null),
            ("Against", self.alternative),
            ("SSR under H0", number(self.ssr_null)),
            ("SSR against", number(self.ssr_alternative)),
            ("Errors drawn", _ERRORS[self.errors]),
        )
        right = (
            ("Statistic", f"{self.statistic:.2f}"),
            ("p-value", small_probability(self.pvalue)),
            ("5% critical value", f"{critical:.2f}" if np.isfinite(critical) else "too few draws"),
            ("Draws under H0", f"{len(self.draws)}"),
            ("p-value step", f"{1 / (len(self.draws) + 1):.3g}"),
        )
        notes = (Notes((self.note,), False),) if self.note else ()
        return self.name, [Pairs(left, right), *notes]
