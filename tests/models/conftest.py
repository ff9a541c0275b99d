"""A small simulated panel, a frame of its own for each test."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gifepanel.datasets import simulate

N, T = 24, 20


@pytest.fixture(scope="session")
def _simulated() -> pd.DataFrame:
    return simulate("S", N, T, random_state=2).data


@pytest.fixture
def panel(_simulated: pd.DataFrame) -> pd.DataFrame:
    """24 entities, 20 periods, three groups and two factors, with further columns of several kinds."""
    data = _simulated.copy()
    unit, period = data.index.codes
    return data.assign(
        region=np.array(list("abcdefgh"))[unit % 8],
        size=unit.astype(float),
        trend=period.astype(float),
        constant=5.0,
        both=data["x1"] - 2 * data["x2"],
        one="a",
    )
