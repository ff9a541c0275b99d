"""Cigarette demand in 46 states of the USA, 1963 to 1992."""

from __future__ import annotations

from importlib.resources import files

import pandas as pd

__all__ = ["load_cigar"]

# the 50 states and the District of Columbia in alphabetical order: the file's codes are ranks in this list
_STATES = (
    "Alabama", "Alaska", "Arizona", "Arkansas", "California", "Colorado", "Connecticut", "Delaware",
    "District of Columbia", "Florida", "Georgia", "Hawaii", "Idaho", "Illinois", "Indiana", "Iowa", "Kansas",
    "Kentucky", "Louisiana", "Maine", "Maryland", "Massachusetts", "Michigan", "Minnesota", "Mississippi",
    "Missouri", "Montana", "Nebraska", "Nevada", "New Hampshire", "New Jersey", "New Mexico", "New York",
    "North Carolina", "North Dakota", "Ohio", "Oklahoma", "Oregon", "Pennsylvania", "Rhode Island",
    "South Carolina", "South Dakota", "Tennessee", "Texas", "Utah", "Vermont", "Virginia", "Washington",
    "West Virginia", "Wisconsin", "Wyoming",
)  # fmt: skip


def load_cigar(*, real: bool = True) -> pd.DataFrame:
    """Cigarette sales, prices and incomes: 46 states of the USA, 30 years, balanced.

    Parameters
    ----------
    real : bool, default True
        Append the two deflated columns of the classic demand equation, `real_price` and `real_income`.

    Returns
    -------
    DataFrame
        1380 rows with the index (state, year): full names of states, years from 1963 to 1992. Columns:

        ===========  =========================================================================
        price        average retail price of a pack of cigarettes, cents
        pop          population, thousands
        pop16        population above the age of 16, thousands
        cpi          consumer price index, 1982-84 = 100; the same for all states
        ndi          disposable income per head, dollars
        sales        cigarette sales, packs per head
        pimin        lowest price of a pack in the adjoining states, cents
        real_price   ``100 * price / cpi``: cents of 1982-84 (with `real`)
        real_income  ``100 * ndi / cpi``: dollars of 1982-84 (with `real`)
        ===========  =========================================================================

    Notes
    -----
    Online complements of Baltagi [1]_; the panel of [2]_ and [3]_. Alaska, Colorado, Hawaii, North Carolina
    and Oregon are not in it; the District of Columbia is. Origin and licence stand beside the file.

    References
    ----------
    .. [1] B. H. Baltagi (2001). Econometric Analysis of Panel Data, 2nd ed. Wiley.
    .. [2] B. H. Baltagi and D. Levin (1992). Cigarette taxation: raising revenues and reducing consumption.
       Structural Change and Economic Dynamics 3, 321-335.
    .. [3] B. H. Baltagi, J. M. Griffin and W. Xiong (2000). To pool or not to pool: homogeneous versus
       heterogeneous estimators applied to cigarette demand. Review of Economics and Statistics 82, 117-126.

    Examples
    --------
    >>> data = load_cigar()
    >>> data.loc[("Texas", 1990), ["price", "sales"]].to_dict()
    {'price': 145.7, 'sales': 85.6}
    """
    with (files("gifepanel.datasets") / "data" / "cigar.csv").open(encoding="utf-8") as source:
        frame = pd.read_csv(source).rename(columns=str.lower)
    names = [_STATES[code - 1] for code in frame.pop("state")]
    frame.index = pd.MultiIndex.from_arrays([names, frame.pop("year") + 1900], names=["state", "year"])
    if real:
        frame["real_price"] = 100 * frame["price"] / frame["cpi"]
        frame["real_income"] = 100 * frame["ndi"] / frame["cpi"]
    return frame
