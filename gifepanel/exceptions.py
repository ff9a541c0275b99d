"""Errors and warnings of gifepanel.

Each says up to three things, in this order: what was found, what is needed, and the line that fixes it.  The
three parts stay at hand as attributes, so that a caller can show them apart.

Examples
--------
>>> from gifepanel.exceptions import DataError
>>> error = DataError("2 rows have no entity", "every row needs an (entity, time) pair", "data.dropna(subset=['firm'])")
>>> str(error)
"2 rows have no entity. every row needs an (entity, time) pair. data.dropna(subset=['firm'])"
>>> error.fix
"data.dropna(subset=['firm'])"
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from typing import Any

__all__ = [
    "CollinearityWarning",
    "ConvergenceError",
    "ConvergenceWarning",
    "DataError",
    "DataWarning",
    "FormulaError",
    "GifepanelError",
    "GifepanelWarning",
    "LostWorkerError",
    "MissingPackageError",
    "SpecificationError",
    "SpecificationWarning",
]

_SENTENCE_ENDS = (".", "!", "?", ":")


def _sentences(*parts: str | None) -> str:
    """Join the parts that are given into plain sentences."""
    given = [part.strip() for part in parts if part and part.strip()]
    closed = [part if part.endswith(_SENTENCE_ENDS) else part + "." for part in given[:-1]]
    return " ".join([*closed, *given[-1:]])


def caller_level() -> int:
    """The ``stacklevel`` at which a warning points at the first line outside of gifepanel."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "gifepanel":
        level, frame = level + 1, frame.f_back
    return level


class _Message(Exception):
    """What was found, what is needed, the fix: shared by errors and warnings.

    Parameters
    ----------
    found : str
        What is there, with names and counts.
    needed : str, optional
        What has to be there instead.
    fix : str, optional
        The line (code where possible) that repairs it.
    """

    found: str
    needed: str | None
    fix: str | None

    def __init__(self, found: str, needed: str | None = None, fix: str | None = None) -> None:
        super().__init__(found, needed, fix)
        self.found = found
        self.needed = needed
        self.fix = fix

    def __str__(self) -> str:
        return _sentences(self.found, self.needed, self.fix)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.found, self.needed, self.fix)


class GifepanelError(_Message):
    """Base class of all errors raised on purpose by gifepanel.

    Examples
    --------
    >>> import gifepanel as gife
    >>> cigar = gife.datasets.load_cigar()
    >>> try:
    ...     gife.PartialledOLS.from_formula("sales ~ price**2", cigar)
    ... except gife.exceptions.GifepanelError as error:
    ...     print(error.fix)
    I(price**2) or {price**2}
    """


class DataError(GifepanelError, ValueError):
    """The data cannot be used as they are: missing or infinite values, duplicates, an unreadable index.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> import gifepanel as gife
    >>> cigar = gife.datasets.load_cigar()
    >>> try:
    ...     gife.InteractiveFE.from_formula("sales ~ price", pd.concat([cigar, cigar.iloc[:1]]), n_factors=1)
    ... except gife.exceptions.DataError as error:
    ...     print(error.fix)
    data = data[~data.index.duplicated()]

    Several things that are wrong are one error with a list, and `fix` has a line for each:

    >>> try:
    ...     data = cigar.assign(sales=cigar["sales"].replace(93.9, np.inf), price=cigar["price"].astype(str))
    ...     gife.PartialledOLS.from_formula("sales ~ price", data)
    ... except gife.exceptions.DataError as error:
    ...     print(len(error.problems))
    2
    """

    problems: tuple[DataError, ...] = ()

    @classmethod
    def of(cls, problems: Sequence[DataError], *, once: str = "") -> DataError:
        """One error for several problems; a single one is itself.

        Parameters
        ----------
        problems : sequence of DataError
        once : str
            What the first fix may start with, and the others need not.

        Examples
        --------
        >>> from gifepanel.exceptions import DataError
        >>> error = DataError.of([DataError("no ids"), DataError("two doubled pairs")])
        >>> len(error.problems)
        2
        """
        if len(problems) == 1:
            return problems[0]
        started = False
        told = []
        for problem in problems:
            fix = problem.fix
            if once and fix and started:
                fix = fix.removeprefix(once)
            started |= bool(once and problem.fix and problem.fix.startswith(once))
            told.append(DataError(problem.found, problem.needed, fix))
        out = cls(
            f"the data have {len(told)} problems: " + "; ".join(problem.found for problem in told),
            "; ".join(dict.fromkeys(problem.needed for problem in told if problem.needed)),
            "\n".join(problem.fix for problem in told if problem.fix),
        )
        out.problems = tuple(told)
        return out

    def __str__(self) -> str:
        if not self.problems:
            return super().__str__()
        lines = [f"the data have {len(self.problems)} problems:"]
        for number, problem in enumerate(self.problems, start=1):
            parts = [part for part in (problem.found, problem.needed, problem.fix) if part]
            lines += [f"{number:>2}. {parts[0]}", *(f"    {part}" for part in parts[1:])]
        return "\n".join(lines)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.found, self.needed, self.fix), {"problems": self.problems}


class FormulaError(GifepanelError, ValueError):
    """The formula cannot be read, names something that is not there, or would mean something else than it seems to.

    Examples
    --------
    >>> import gifepanel as gife
    >>> cigar = gife.datasets.load_cigar()
    >>> try:
    ...     gife.PartialledOLS.from_formula("sales ~ prize", cigar)
    ... except gife.exceptions.FormulaError as error:
    ...     print(error.fix)
    did you mean 'price' instead of 'prize'?
    """


class SpecificationError(GifepanelError, ValueError):
    """Options that contradict each other or the data: too many factors or groups, unknown names of options.

    Examples
    --------
    >>> import gifepanel as gife
    >>> cigar = gife.datasets.load_cigar()
    >>> try:
    ...     gife.PartialledOLS.from_formula("sales ~ price", cigar).fit(covtype="HC1")
    ... except gife.exceptions.SpecificationError as error:
    ...     print(error.fix)
    cov_type='HC1'
    """


class ConvergenceError(GifepanelError, RuntimeError):
    """An iteration ended without an answer that could be returned.

    Examples
    --------
    >>> from gifepanel.exceptions import ConvergenceError
    >>> raise ConvergenceError("The effects did not converge.", "The tolerance is 1e-10.", "tol=1e-8")
    Traceback (most recent call last):
        ...
    gifepanel.exceptions.ConvergenceError: The effects did not converge. The tolerance is 1e-10. tol=1e-8
    """


class LostWorkerError(GifepanelError, RuntimeError):
    """Workers of a cluster died, and what they held with them.

    Examples
    --------
    >>> from gifepanel.exceptions import LostWorkerError
    >>> issubclass(LostWorkerError, RuntimeError)
    True
    """


class MissingPackageError(GifepanelError, ImportError):
    """A package that results are to be handed to is not installed.

    Examples
    --------
    >>> from gifepanel.exceptions import MissingPackageError
    >>> issubclass(MissingPackageError, ImportError)
    True
    """


class GifepanelWarning(_Message, UserWarning):
    """Base class of all warnings issued by gifepanel.

    Examples
    --------
    >>> from gifepanel.exceptions import DataWarning, GifepanelWarning
    >>> issubclass(DataWarning, GifepanelWarning)
    True
    """


class CollinearityWarning(GifepanelWarning):
    """Regressors were dropped because other regressors, effects or factors span them.

    Examples
    --------
    >>> import warnings
    >>> import gifepanel as gife
    >>> cigar = gife.datasets.load_cigar()
    >>> with warnings.catch_warnings(record=True) as said:
    ...     warnings.simplefilter("always")
    ...     res = gife.PartialledOLS.from_formula("sales ~ price + cpi | year", cigar).fit()
    >>> print(type(said[0].message).__name__, said[0].message.found)
    CollinearityWarning cpi was dropped: it is spanned by year.
    """


class ConvergenceWarning(GifepanelWarning):
    """An iteration stopped before its tolerance was met; the result is the best one found.

    Examples
    --------
    >>> import warnings
    >>> import gifepanel as gife
    >>> cigar = gife.datasets.load_cigar()
    >>> model = gife.InteractiveFE.from_formula("sales ~ 0 + price", cigar, n_factors=2)
    >>> with warnings.catch_warnings(record=True) as said:
    ...     warnings.simplefilter("always")
    ...     res = model.fit(max_iter=1)
    >>> print(type(said[0].message).__name__, said[0].message.found)
    ConvergenceWarning Least squares with factors did not converge.
    """


class DataWarning(GifepanelWarning):
    """The data were used, but something about them deserves a look.

    Examples
    --------
    >>> from gifepanel.exceptions import DataWarning
    >>> print(DataWarning("2 rows have weight zero.", "They are left out.").found)
    2 rows have weight zero.
    """


def tell_of_repeated_names(header: Sequence[str], read: Sequence[Any], source: str) -> None:
    """Warn where a line of names has one twice, as readers give the second another name without a word.

    Parameters
    ----------
    header : sequence of str
        The names as they stand in the file.
    read : sequence
        The names of the columns that were read.
    source : str
        What was read.
    """
    names = [name.strip().strip('"') for name in header]
    if len(names) != len(read) or len(set(names)) == len(names):
        return
    again = [j for j, name in enumerate(names) if name and name in names[:j] and str(read[j]) not in header]
    told = ", ".join(f"column {j + 1}, {names[j]!r}, is {str(read[j])!r} here" for j in again)
    if told:
        text = f"{source} has names twice: {told}."
        warnings.warn(DataWarning(text, "Give every column its own name in the file."), stacklevel=caller_level())


class SpecificationWarning(GifepanelWarning):
    """The model was fitted, but its specification deserves a look.

    Examples
    --------
    >>> from gifepanel.exceptions import SpecificationWarning
    >>> print(SpecificationWarning("Group 2 has one entity.", fix="n_groups=1"))
    Group 2 has one entity. n_groups=1
    """
