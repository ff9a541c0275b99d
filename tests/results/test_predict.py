"""Prediction in the sample, on new rows, and refused where nothing is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from gifepanel import GroupedIFE, InteractiveFE
from gifepanel.datasets import load_cigar, simulate
from gifepanel.exceptions import DataError, DataWarning, FormulaError
from gifepanel.panel import design_from_arrays, design_from_formula
from gifepanel.results.prediction import PredictedParts, predict


@pytest.fixture(scope="module")
def panel() -> pd.DataFrame:
    return simulate("S", 24, 20, random_state=2).data


@pytest.fixture(scope="module")
def fitted(panel: pd.DataFrame) -> Any:
    return GroupedIFE.from_formula("y ~ 0 + x1 + x2 | entity", panel, n_groups=3, n_factors=2).fit()


def test_in_sample(res: Any) -> None:
    pd.testing.assert_series_equal(res.predict(), res.fittedvalues, check_names=False)
    assert res.predict().name == "predicted"
    linear = res.predict(effects=False)
    expected = pd.Series(np.asarray(res.model.predict(res.params)), index=res.resid.index)
    pd.testing.assert_series_equal(linear, expected, check_names=False)


def test_linear_part_by_hand(fitted: Any, panel: pd.DataFrame) -> None:
    slopes = fitted.params_by_group.loc[fitted.groups[panel.index.get_level_values("entity")]].to_numpy()
    expected = (panel[["x1", "x2"]].to_numpy() * slopes).sum(axis=1)
    np.testing.assert_allclose(fitted.predict(effects=False), expected, atol=1e-12)


@pytest.mark.parametrize("form", ["index", "flat", "polars", "shuffled"])
def test_new_rows_of_known_entities(fitted: Any, panel: pd.DataFrame, form: str) -> None:
    rows = panel.iloc[[5, 47, 130, 131]]
    new: Any = {
        "index": rows,
        "flat": rows.reset_index(),
        "polars": pl.from_pandas(rows.reset_index()),
        "shuffled": rows.iloc[::-1],
    }[form]
    found = fitted.predict(new)
    expected = fitted.fittedvalues.loc[rows.index]
    if form == "shuffled":
        found = found.iloc[::-1]
    np.testing.assert_allclose(found, expected, atol=1e-12)
    if form in ("index", "flat"):
        assert found.index.equals(new.index)


def test_changed_regressors_move_by_the_slopes(fitted: Any, panel: pd.DataFrame) -> None:
    moved = fitted.predict(panel.assign(x1=panel["x1"] + 1)) - fitted.predict(panel)
    slopes = fitted.params_by_group["x1"].loc[fitted.groups[panel.index.get_level_values("entity")]]
    np.testing.assert_allclose(moved, slopes, atol=1e-10)


def test_rows_that_miss_a_regressor(fitted: Any, panel: pd.DataFrame) -> None:
    new = panel.iloc[5:9].copy()
    new.iloc[1, new.columns.get_loc("x1")] = np.nan
    found = fitted.predict(new)
    assert found.isna().tolist() == [False, True, False, False] and found.index.equals(new.index)


def test_unknown_entities_and_periods(fitted: Any, panel: pd.DataFrame) -> None:
    flat = panel.iloc[5:9].reset_index()
    with pytest.raises(DataError, match="entities that are not in the sample: 99"):
        fitted.predict(flat.assign(entity=99))
    with pytest.raises(DataError, match="entities that are not in the sample: 99"):
        fitted.predict(flat.assign(entity=99), effects=False)
    with pytest.raises(DataError, match="periods that are not in the sample: 98, 99") as caught:
        fitted.predict(flat.assign(time=[98, 99, 98, 99]))
    later = flat.assign(time=99)
    assert caught.value.fix == "res.predict(data, effects=False)"
    np.testing.assert_allclose(fitted.predict(later, effects=False), fitted.predict(flat, effects=False))
    many = pd.concat([flat] * 3).assign(entity=np.arange(100, 112))
    with pytest.raises(DataError, match="100, 101, 102, 103, 104 and 7 more"):
        fitted.predict(many)


def test_rows_without_ids(fitted: Any, panel: pd.DataFrame) -> None:
    bare = panel[["x1", "x2"]].head().reset_index(drop=True)
    for effects in (True, False):
        with pytest.raises(DataError, match="which entity and period") as caught:
            fitted.predict(bare, effects=effects)
        assert "set_index" in str(caught.value.fix)
    single = InteractiveFE.from_formula("y ~ x1 + x2", panel, n_factors=2).fit()
    expected = single.params["Intercept"] + bare @ single.params[["x1", "x2"]]
    np.testing.assert_allclose(single.predict(bare, effects=False), expected)
    np.testing.assert_allclose(single.predict({"x1": [1.0], "x2": [2.0]}, effects=False), single.params @ [1, 1, 2])
    with pytest.raises(FormulaError, match="'x2'"):
        single.predict(bare[["x1"]], effects=False)
    # somebody out of the sample has slopes where they are the same for all
    stranger = panel.head(2).rename(index={1: 77}, level="entity")
    assert single.predict(stranger, effects=False).notna().all()


def test_lags_look_within_the_new_data(mixed: Any) -> None:
    data = load_cigar()
    found = mixed.predict(data)
    first = data.index.get_level_values("year") == 1963
    assert found[first].isna().all()
    np.testing.assert_allclose(found[~first], mixed.fittedvalues, atol=1e-12)
    shuffled = data.sample(frac=1, random_state=0)
    pd.testing.assert_series_equal(mixed.predict(shuffled).loc[data.index], found)


def test_models_from_frames_and_arrays(panel: pd.DataFrame) -> None:
    frames = GroupedIFE(panel["y"], panel[["x1", "x2"]], n_groups=3, n_factors=2).fit()
    np.testing.assert_allclose(frames.predict(panel.iloc[7:9]), frames.fittedvalues.iloc[7:9], atol=1e-12)
    y, x = panel["y"].to_numpy().reshape(24, 20), panel[["x1", "x2"]].to_numpy().reshape(24, 20, 2)
    arrays = GroupedIFE(y, x, n_groups=3, n_factors=2).fit()
    np.testing.assert_allclose(arrays.predict(), arrays.fittedvalues, atol=1e-12)
    np.testing.assert_allclose(arrays.predict(x), arrays.fittedvalues, atol=1e-12)
    with pytest.raises(DataError, match="made from arrays"):
        arrays.predict(panel)


def test_options_are_not_swallowed(fitted: Any) -> None:
    for options in ({"efects": False}, {"transforms": True}):
        with pytest.raises(TypeError, match=next(iter(options))):
            fitted.predict(**options)
    with pytest.raises(TypeError, match="titel"):
        fitted.summary(titel="Mine")


# ---- panels with holes: what any estimate predicts


def parts_of(n: int, t: int, rng: np.random.Generator) -> PredictedParts:
    """Two groups of slopes, a factor and both effects, made up."""
    return PredictedParts(
        theta=rng.normal(size=4),
        slots=np.array([[0, 1], [2, 3]]),
        groups=np.arange(n) % 2,
        factors=rng.normal(size=(t, 1)),
        loadings=rng.normal(size=(n, 1)),
        entity_effect=rng.normal(size=n),
        time_effect=rng.normal(size=t),
        entity_effects=True,
        time_effects=True,
    )


def by_hand(parts: PredictedParts, x: Any) -> Any:
    """Predictions (N, T) of every cell."""
    slopes = parts.theta[parts.slots[parts.groups]]
    common = parts.loadings @ parts.factors.T + parts.entity_effect[:, None] + parts.time_effect
    return np.einsum("itp,ip->it", x, slopes) + common


def test_every_cell_of_a_panel_with_holes() -> None:
    rng = np.random.default_rng(5)
    cells = pd.MultiIndex.from_product([list("abcd"), range(2001, 2007)], names=["firm", "year"])
    data = pd.DataFrame(rng.normal(size=(24, 3)), index=cells, columns=["y", "x1", "x2"])
    seen = data[rng.random(24) < 0.75].sample(frac=1, random_state=1)
    assert seen.index.unique("firm").size == 4 and seen.index.unique("year").size == 6
    design, parts, x = design_from_formula("y ~ 0 + x1 + x2", seen), parts_of(4, 6, rng), data[["x1", "x2"]].to_numpy()
    expected = pd.Series(by_hand(parts, x.reshape(4, 6, 2)).ravel(), index=cells, name="predicted")
    inside = predict(design, parts, [0, 1], None, True)
    assert inside.index.equals(seen.index)
    pd.testing.assert_series_equal(inside, expected.loc[seen.index], rtol=1e-13)
    cube = x.reshape(4, 6, 2).copy()
    for known in (design, design.without_rows()):  # the second once the data are gone
        for new in (cube, data):
            pd.testing.assert_series_equal(predict(known, parts, [0, 1], new, True), expected, rtol=1e-13)
        holes = data[~data.index.isin(seen.index)]
        pd.testing.assert_series_equal(
            predict(known, parts, [0, 1], holes, True), expected.loc[holes.index], rtol=1e-13
        )
    cube[1, 2, 0] = np.nan
    assert np.flatnonzero(predict(design, parts, [0, 1], cube, True).isna()).tolist() == [8]
    masked = np.ma.masked_invalid(cube)
    np.testing.assert_array_equal(*(predict(design, parts, [0, 1], new, True) for new in (cube, masked)))


def test_arrays_are_predicted_in_the_order_they_came_in() -> None:
    """Labels out of order, an entity and a period without a single complete cell."""
    rng = np.random.default_rng(6)
    y, x = rng.normal(size=(4, 5)), rng.normal(size=(4, 5, 2))
    y[3], y[:, 1], y[0, 0] = np.nan, np.nan, np.nan
    labels = {"entities": ["c", "a", "b", "z"], "times": [5, 4, 3, 2, 1]}
    design, parts = design_from_arrays(y, x, **labels), parts_of(3, 4, rng)
    assert (design.index.entities.tolist(), design.index.times.tolist()) == (["a", "b", "c"], [1, 2, 3, 5])
    sample = x[[1, 2, 0]][:, [4, 3, 2, 0]]
    own = pd.DataFrame(by_hand(parts, sample), index=["a", "b", "c"], columns=[1, 2, 3, 5])
    found = predict(design, parts, [0, 1], x, True)
    assert found.index.equals(pd.MultiIndex.from_product(labels.values(), names=["entity", "time"]))
    expected = own.reindex(index=labels["entities"], columns=labels["times"])
    np.testing.assert_allclose(found.to_numpy().reshape(4, 5), expected, rtol=1e-13)
    np.testing.assert_allclose(predict(design, parts, [0, 1], None, True), found[design.row_index], rtol=1e-13)
    # the sample's entities and periods, in their own order
    np.testing.assert_allclose(predict(design, parts, [0, 1], sample, True), own.to_numpy().ravel(), rtol=1e-13)


def test_one_regressor_as_a_matrix() -> None:
    rng = np.random.default_rng(7)
    y, x = rng.normal(size=(6, 8)), rng.normal(size=(6, 8))
    res = InteractiveFE(y, x, n_factors=1, entity=list("fedcba")).fit()
    np.testing.assert_allclose(res.predict(x), res.fittedvalues, rtol=1e-10)
    np.testing.assert_allclose(res.predict(x[:, :, None]), res.fittedvalues, rtol=1e-10)


@pytest.fixture(scope="module")
def holed(panel: pd.DataFrame) -> pd.DataFrame:
    """A panel with holes, a trend and a size; of entity 5 two periods."""
    data = panel.assign(trend=panel.index.get_level_values("time") - 3.0)
    data["size"] = np.sqrt(data.index.get_level_values("entity"))
    seen = np.random.default_rng(8).random(len(data)) < 0.85
    few = (data.index.get_level_values("entity") == 5) & (data.index.get_level_values("time") > 2)
    return data[seen & ~few].sample(frac=1, random_state=0)


def test_slopes_of_entities_and_periods(panel: pd.DataFrame, holed: pd.DataFrame) -> None:
    complete = panel.assign(trend=panel.index.get_level_values("time") - 3.0, size=1.0)
    for data, effects in ((holed.drop(index=5, level="entity"), "entity + entity[trend] + time[size]"),
                          (complete, "entity[[trend]]")):  # fmt: skip
        res = InteractiveFE.from_formula(f"y ~ 0 + x1 + x2 | {effects}", data, n_factors=1).fit()
        np.testing.assert_allclose(res.predict(), res.fittedvalues, atol=1e-9)
        np.testing.assert_allclose(res.predict(data), res.fittedvalues, atol=1e-9)
        moved = res.predict(data.assign(trend=data["trend"] + 1)) - res.predict(data)
        assert (moved.groupby("entity").std() < 1e-9).all()
        assert (moved.abs() > 1e-3).any()
        with pytest.raises(DataError, match="The new data lack 'trend'"):
            res.predict(data.drop(columns="trend"))
        with pytest.raises(DataError, match="slopes of trend"):
            res.predict(np.zeros((res.n_entities, res.n_times, 2)))
        linear = res.predict(data.drop(columns="trend"), effects=False)
        np.testing.assert_allclose(linear, data[["x1", "x2"]] @ res.params, atol=1e-12)
        whole = res.predict(data)
        res.remove_data()
        np.testing.assert_array_equal(res.predict(data), whole)


def test_rows_of_what_was_left_out_have_no_prediction(holed: pd.DataFrame) -> None:
    holed = holed.assign(y=holed["y"].where(holed.index.get_level_values("entity") != 9))
    res = InteractiveFE.from_formula("y ~ 0 + x1 + x2 | entity", holed, n_factors=1).fit()
    mine = holed.index.get_level_values("entity").isin([5, 9])
    assert (res.sample.pruned_entities, res.sample.n_pruned, res.sample.empty_entities) == ((5,), 2, (9,))
    assert res.sample.left_out == ((5, 9), ())
    with pytest.warns(
        DataWarning, match=rf"{mine.sum()} of {len(holed)} rows have no prediction: their entity was left"
    ):
        found = res.predict(holed)
    np.testing.assert_array_equal(found.isna(), mine)
    np.testing.assert_allclose(found[~mine], res.fittedvalues, atol=1e-10)
    assert res.predict(holed, effects=False).notna().all()
    with pytest.raises(DataError, match="entities that are not in the sample: 99"):
        res.predict(holed.rename(index={7: 99}, level="entity"))
