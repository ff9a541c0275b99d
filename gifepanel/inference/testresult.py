"""The outcome of one test: statistic, p-value and the null hypothesis in words."""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan

__all__ = ["TestResult"]


@dataclass(frozen=True)
class TestResult:
    """One test.

    Attributes
    ----------
    name : str
        Name of the test.
    statistic : float
        Its value; for moments the moment itself.
    pvalue : float
        Probability, under the null, of a value at least as extreme; nan where none is known.
    df : float, tuple of float, or None
        Degrees of freedom of the reference distribution.
    distribution : str
        Reference distribution of the statistic under the null.
    null : str
        The null hypothesis, in words.
    note : str
        What a reader should know about this value; may be empty.

    Examples
    --------
    >>> import numpy as np
    >>> from gifepanel import diagnostics
    >>> resid = np.random.default_rng(0).normal(size=(40, 20))
    >>> test = diagnostics.pesaran_cd(resid)
    >>> test.name, test.distribution
    ('Pesaran CD', 'N(0,1)')
    """

    __test__ = False  # the name starts with "Test": not for pytest to collect

    name: str
    statistic: float
    pvalue: float
    df: float | tuple[float, ...] | None
    distribution: str
    null: str
    note: str = ""

    def __str__(self) -> str:
        p = "no p-value" if isnan(self.pvalue) else f"p = {self.pvalue:.4f}"
        text = f"{self.name}: {self.statistic:.4f}, {p} [{self.distribution}]. H0: {self.null}."
        return f"{text} {self.note}" if self.note else text
