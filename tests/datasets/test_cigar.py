"""The cigarette panel: its shape, its names of states, its real columns."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import linear_sum_assignment

from gifepanel.datasets import load_cigar

# Population in thousands, U.S. Census Bureau, decennial censuses of 1970 and 1990 (public domain).
CENSUS = {
    "Alabama": (3444, 4041),
    "Arizona": (1771, 3665),
    "Arkansas": (1923, 2351),
    "California": (19953, 29760),
    "Connecticut": (3032, 3287),
    "Delaware": (548, 666),
    "District of Columbia": (757, 607),
    "Florida": (6789, 12938),
    "Georgia": (4590, 6478),
    "Idaho": (713, 1007),
    "Illinois": (11114, 11431),
    "Indiana": (5194, 5544),
    "Iowa": (2825, 2777),
    "Kansas": (2249, 2478),
    "Kentucky": (3219, 3685),
    "Louisiana": (3643, 4220),
    "Maine": (994, 1228),
    "Maryland": (3922, 4781),
    "Massachusetts": (5689, 6016),
    "Michigan": (8875, 9295),
    "Minnesota": (3805, 4375),
    "Mississippi": (2217, 2573),
    "Missouri": (4677, 5117),
    "Montana": (694, 799),
    "Nebraska": (1484, 1578),
    "Nevada": (489, 1202),
    "New Hampshire": (738, 1109),
    "New Jersey": (7168, 7730),
    "New Mexico": (1016, 1515),
    "New York": (18241, 17990),
    "North Dakota": (618, 639),
    "Ohio": (10652, 10847),
    "Oklahoma": (2559, 3146),
    "Pennsylvania": (11794, 11882),
    "Rhode Island": (950, 1003),
    "South Carolina": (2591, 3487),
    "South Dakota": (666, 696),
    "Tennessee": (3924, 4877),
    "Texas": (11197, 16987),
    "Utah": (1059, 1723),
    "Vermont": (445, 563),
    "Virginia": (4648, 6187),
    "Washington": (3409, 4867),
    "West Virginia": (1744, 1793),
    "Wisconsin": (4418, 4892),
    "Wyoming": (332, 454),
}


def test_shape_index_and_columns(cigar: pd.DataFrame) -> None:
    assert cigar.shape == (46 * 30, 9)
    assert cigar.index.names == ["state", "year"]
    assert cigar.index.is_unique and cigar.index.is_monotonic_increasing
    assert list(cigar.index.levels[1]) == list(range(1963, 1993))
    columns = ["price", "pop", "pop16", "cpi", "ndi", "sales", "pimin"]
    assert list(cigar.columns) == [*columns, "real_price", "real_income"]
    assert list(load_cigar(real=False).columns) == columns
    assert np.isfinite(cigar.to_numpy()).all()


def test_states_are_those_of_the_census(cigar: pd.DataFrame) -> None:
    """Matching rows to census states by population alone finds the names that the code list gives."""
    panel = cigar["pop"].unstack("year")[[1970, 1990]]
    census = pd.DataFrame.from_dict(CENSUS, orient="index")
    assert list(panel.index) == sorted(census.index)
    distance = np.abs(np.log(panel.to_numpy())[:, None] - np.log(census.to_numpy())[None]).sum(axis=2)
    rows, columns = linear_sum_assignment(distance)
    assert list(panel.index[rows]) == list(census.index[columns])


def test_population_of_1990_is_near_the_census(cigar: pd.DataFrame) -> None:
    panel = cigar["pop"].xs(1990, level="year")
    for state, (_, census) in CENSUS.items():
        assert panel[state] == pytest.approx(census, rel=0.04), state


def test_deflated_columns(cigar: pd.DataFrame) -> None:
    # by hand from the first row of the file: Alabama 1963, price 28.6, ndi 1558.3045298, cpi 30.6
    first = cigar.loc[("Alabama", 1963)]
    assert first["real_price"] == pytest.approx(93.46405228758171, rel=1e-14)
    assert first["real_income"] == pytest.approx(5092.498463398693, rel=1e-14)
    spread = cigar.groupby("year")["cpi"]
    assert (spread.max() == spread.min()).all()


def test_price_elasticity_of_the_growth_rates(cigar: pd.DataFrame) -> None:
    """Least squares on growth rates with two factors: -.4378155 and .1777988 (R package PanelIFE)."""
    growth = np.log(cigar[["sales", "real_price", "real_income"]]).groupby("state").diff().dropna()
    cube = growth.to_numpy().reshape(46, 29, 3)
    y, x = cube[:, :, 0], cube[:, :, 1:]
    beta = np.zeros(2)
    for _ in range(2000):
        residual = y - x @ beta
        factors = np.linalg.svd(residual, full_matrices=False)[2][:2]
        beta = np.linalg.lstsq(
            (x - np.einsum("itj,rt,rs->isj", x, factors, factors, optimize=True)).reshape(-1, 2),
            (y - y @ factors.T @ factors).ravel(),
            rcond=None,
        )[0]
    np.testing.assert_allclose(beta, [-0.4378155033, 0.1777987881], atol=2e-8)


def test_each_call_gives_its_own_frame() -> None:
    first = load_cigar()
    first.loc[:, "sales"] = 0.0
    assert (load_cigar()["sales"] > 0).all()
