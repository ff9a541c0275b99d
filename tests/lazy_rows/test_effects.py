"""Tables of an engine whose rows come in any order."""

from __future__ import annotations

import numpy as np
import pytest

pa = pytest.importorskip("pyarrow")

from gifepanel.lazy_rows.effects import _coded  # noqa: E402
from gifepanel.lazy_rows.engine import Home  # noqa: E402


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 1, 0, 2], [2, 3, 1, 0]])
@pytest.mark.parametrize("keys", [["firm"], ["firm", "year"]])
def test_base_levels_are_numbered_as_they_sort(order: list[int], keys: list[str]) -> None:
    """Effects with pivots that tie came out otherwise in one run of sixty, with the order in which levels arrived."""
    firms, years = np.array(["a", "b", "b", "c"]), np.array([7, 1, 2, 0])
    if len(keys) == 1:
        firms = np.array(["a", "b", "c", "d"])
    home = Home(pa.table({"firm": firms[order], "year": years[order]}))
    other = Home(pa.table({"firm": firms[[2, 0]], "year": years[[2, 0]]}))
    (codes, own), n = _coded([home, other], keys)
    assert (codes.tolist(), own.tolist(), n) == (order, [2, 0], 4)
