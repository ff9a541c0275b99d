"""Names of covariances and their options, as statsmodels' users spell them."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from gifepanel.exceptions import DataError, SpecificationError, SpecificationWarning
from gifepanel.inference.definite import PSD
from gifepanel.models.checks import check_choice, check_flag, check_number
from gifepanel.panel.text import caller_level

__all__ = [
    "SAME_KINDS",
    "check_correction",
    "check_df_correction",
    "check_psd",
    "check_scale",
    "known_cov_type",
    "one_level",
    "read_keywords",
    "warn_of_distance",
    "warn_of_rank",
]

# of factor models and of partialled-out least squares alike
SAME_KINDS = {
    "nonrobust": "nonrobust",
    "iid": "nonrobust",
    "fixed scale": "fixed scale",
    "HC0": "HC0",
    "HC1": "HC1",
    "hetero": "HC1",
    "robust": "HC1",
}


def known_cov_type(cov_type: Any, known: Iterable[str]) -> str:
    """The known name that `cov_type` is, whatever its case; "fixed_scale" is "fixed scale".

    Raises
    ------
    SpecificationError
        With the known names, and the one that was probably meant.
    """
    names = tuple(known)
    if isinstance(cov_type, str):
        folded = {name.casefold(): name for name in names}
        cov_type = folded.get(cov_type.casefold().replace("_", " "), cov_type)
    return check_choice("cov_type", cov_type, names)


def check_correction(value: Any, cov_type: str) -> Any:
    """statsmodels' ``use_correction``: a flag, "hac" or "cluster"."""
    if value is None or isinstance(value, (bool, np.bool_)) or value in ("hac", "cluster"):
        return value
    raise SpecificationError(
        f"use_correction of cov_type={cov_type!r} is {value!r}.",
        "It must be True, False, 'hac' or 'cluster'.",
        'cov_kwds={"use_correction": False}',
    )


def check_df_correction(value: Any) -> bool:
    """statsmodels' ``df_correction``: whether t and F tests have as many degrees of freedom as there are groups."""
    return True if value is None else check_flag("df_correction", value)


def check_scale(value: Any) -> float:
    """The error variance of "fixed scale"."""
    return check_number("scale", value, 1.0, positive=True)


def check_psd(value: Any) -> str:
    """What to do about negative eigenvalues of a covariance."""
    if isinstance(value, (bool, np.bool_)):  # as in sandwich's fix= and fixest's vcov_fix=
        return "eigen" if value else "none"
    return "none" if value is None else check_choice("psd", value, PSD)


def read_keywords(cov_kwds: Any) -> dict[str, Any]:
    """A copy of `cov_kwds`, ``use_t`` aside."""
    if cov_kwds is not None and not isinstance(cov_kwds, Mapping):
        meant = repr(cov_kwds) if isinstance(cov_kwds, (str, list)) else '"firm"'
        raise SpecificationError(
            f"cov_kwds is {cov_kwds!r}." if isinstance(cov_kwds, (str, list)) else "cov_kwds is no dict.",
            "It must be a dict.",
            f'cov_kwds={{"groups": {meant}}}',
        )
    return {name: value for name, value in (cov_kwds or {}).items() if name != "use_t"}


def one_level(name: str) -> DataError:
    """The error of clusters that are one."""
    return DataError(
        f"The clusters{' ' if name else ''}{name} have one level.",
        "Two or more are needed, and dozens to trust the result.",
        'cov_type="HC1"',
    )


def warn_of_distance(time: Any, maxlags: int) -> None:
    """Say so where no two periods are within the lags, so that these take nothing in."""
    if time is None or not maxlags or (nearest := int(np.diff(np.unique(time)).min(initial=np.ptp(time)))) <= maxlags:
        return
    warnings.warn(
        SpecificationWarning(
            f"maxlags={maxlags} is less than the {nearest} that neighbouring periods are apart.",
            "Lags are counted in units of the time variable: here they take nothing in.",
            f'cov_kwds={{"maxlags": {maxlags * nearest}}}, or a time variable that counts periods',
        ),
        stacklevel=caller_level(),
    )


def warn_of_rank(slopes: int, kind: str, counts: tuple[int, ...], periods: int | None) -> None:
    """Sums over few clusters or periods give a covariance of low rank: some Wald tests do not exist."""
    if len(counts) == 1:
        count, what = counts[0], "clusters"
    elif kind == "hac-groupsum" and periods is not None:
        count, what = periods, "periods"
    else:
        return
    bound = count if kind in ("CR2", "cluster-crv3") else count - 1
    if slopes <= bound:
        return
    impossible = (
        f"F and Wald tests of more than {bound} restrictions at once are impossible"
        if bound > 1
        else ("F and Wald tests of several restrictions are impossible")
    )
    warnings.warn(
        SpecificationWarning(
            f"There are {slopes} coefficients and {count} {what}: the covariance has rank {bound} at most.",
            f"{impossible}, the F test of all slopes among them; tests of single coefficients are not affected.",
            "Test fewer restrictions at once, or use finer clusters.",
        ),
        stacklevel=caller_level(),
    )
