"""After ``remove_data()``: nothing with a row of the data in it is left, and what needs no row works."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn.linear_model import LinearRegression

import gifepanel as gife
from gifepanel.exceptions import DataError

N, T = 31, 23


def panel() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    d = pd.DataFrame({"firm": np.repeat(np.arange(N), T), "year": np.tile(np.arange(T), N)})
    d["x"], d["z"], d["w"] = rng.normal(size=N * T), rng.normal(size=N * T), 1 + rng.random(N * T)
    d["y"] = np.where(d["firm"] % 2, 1.0, -1.0) * d["x"] + d["z"] + d["firm"] + rng.normal(size=N * T)
    return d


IDS = {"entity": "firm", "time": "year"}
MODELS = {
    "plain": lambda d: gife.PartialledOLS.from_formula("y ~ x + z", d),
    "effects": lambda d: gife.PartialledOLS.from_formula("y ~ x + bs(z, df=4) | firm + year", d, **IDS),
    "weights and controls": lambda d: gife.PartialledOLS.from_formula(
        "y ~ x | firm[z]", d, partial="I(z**2)", weights="w"
    ),
    "weights by row": lambda d: gife.PartialledOLS.from_formula("y ~ x", d, weights=d["w"].to_numpy()),
    "ids by row": lambda d: gife.PartialledOLS.from_formula(
        "y ~ x", d.drop(columns=["firm", "year"]), entity=d["firm"].to_numpy(), time=d["year"].to_numpy()
    ),
    "learner": lambda d: gife.PartialledOLS.from_formula("y ~ x", d, partial="z", learner=LinearRegression(), **IDS),
    "lags": lambda d: gife.PartialledOLS.from_formula("y ~ L(y) + x | firm", d, **IDS),
    "frames": lambda d: gife.PartialledOLS(d["y"], d[["x", "firm"]], absorb="firm"),
    "factors": lambda d: gife.InteractiveFE.from_formula("y ~ 0 + x + z | firm", d, n_factors=1, **IDS),
    "groups": lambda d: gife.GroupedIFE.from_formula("y ~ 0 + x + z", d, n_groups=2, n_factors=1, **IDS),
}


def arrays(value: Any, seen: set[int], path: str = "res") -> Iterator[tuple[str, Any]]:
    """Everything with a length that can be reached from a value, with the way to it."""
    if id(value) in seen or isinstance(value, (str, bytes, int, float, complex, bool, type)) or callable(value):
        return
    seen.add(id(value))
    if isinstance(value, (np.ndarray, pd.Series, pd.Index, pd.DataFrame)):
        yield path, value
        return
    if isinstance(value, dict):
        for key, own in value.items():
            yield from arrays(own, seen, f"{path}[{key!r}]")
    elif isinstance(value, (list, tuple, set, frozenset)):
        for k, own in enumerate(value):
            yield from arrays(own, seen, f"{path}[{k}]")
    elif hasattr(value, "__dict__"):
        yield from arrays(vars(value), seen, path)


@pytest.mark.parametrize("name", MODELS)
def test_no_row_is_left_and_the_rest_works(name: str) -> None:
    data = panel()
    res = MODELS[name](data).fit()
    new = data.head(5)
    linear = None if name == "ids by row" else res.predict(new, effects=False)
    text, test = res.summary().as_text(), res.t_test(np.eye(len(res.params))[:1])
    released = copy.deepcopy(res)
    said = (repr(res), str(gife.compare(res)), res.glance().to_string(), getattr(res, "condition_number", None))
    released.remove_data()
    for other in (released, pickle.loads(pickle.dumps(released))):
        left = [path for path, own in arrays(other, set()) if np.size(own) >= N * T - N]
        assert left == []
        assert other.summary().as_text() == text
        assert said == (
            repr(other),
            str(gife.compare(other)),
            other.glance().to_string(),
            getattr(other, "condition_number", None),
        )
        assert_allclose(other.t_test(np.eye(len(res.params))[:1]).pvalue, test.pvalue)
        if linear is not None:
            pd.testing.assert_series_equal(other.predict(new, effects=False), linear)
        with pytest.raises(DataError, match=r"remove_data\(\) was called"):
            other.predict()
    released.remove_data()
    if linear is not None:
        pd.testing.assert_series_equal(released.predict(new, effects=False), linear)
    pd.testing.assert_series_equal(res.predict(new, effects=False), linear) if linear is not None else None


def test_what_predictions_with_effects_do() -> None:
    data = panel()
    for name in ("plain", "factors", "groups"):
        res = MODELS[name](data).fit()
        before = res.predict(data)
        res.remove_data()
        pd.testing.assert_series_equal(res.predict(data), before)
    res = MODELS["effects"](data).fit()
    res.remove_data()
    with pytest.raises(DataError, match=r"remove_data\(\) was called"):
        res.predict(data)
