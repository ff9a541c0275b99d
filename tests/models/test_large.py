"""Panels worked on in blocks of entities: the same answers as from arrays as a whole, without what has rows."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest

import gifepanel as gife
from gifepanel import blocks
from gifepanel.exceptions import CollinearityWarning, DataError
from gifepanel.models import file_design
from gifepanel.solvers import search

EFFECTS: list[dict[str, Any]] = [{}, {"absorb": "time"}, {"absorb": "entity"}, {"absorb": ["entity", "time"]}]


@pytest.fixture(autouse=True, scope="module")
def short_searches():
    """Small panels are searched for long."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "_MOST", 2)
        patch.setattr(search, "_FEWEST", 2)
        yield


@pytest.fixture
def in_blocks(monkeypatch):
    """Every panel counts as large, and has several blocks."""

    def switch() -> None:
        monkeypatch.setattr(blocks, "LARGE", 1)
        monkeypatch.setattr(blocks, "UNCOPIED", 1)
        monkeypatch.setattr(blocks, "_ELEMENTS", 1 << 9)

    return switch


def panel(n: int = 90, t: int = 12, seed: int = 0) -> tuple[Any, Any]:
    """Outcome (N, T) and regressors (N, T, 2) of three groups, with levels far from zero."""
    rng = np.random.default_rng(seed)
    common = (0.5 + rng.standard_normal((n, 1))) @ rng.standard_normal((1, t))
    x = rng.standard_normal((n, t, 2)) + 0.5 * common[:, :, None] + rng.standard_normal((n, 1, 1)) + 5.0
    alpha = np.array([[0.4, 1.6], [1.0, 1.0], [1.6, 0.4]])
    y = np.einsum("ntp,np->nt", x, alpha[rng.integers(3, size=n)]) + common + 0.5 * rng.standard_normal((n, t))
    return y + 3.0 * rng.standard_normal((n, 1)) + rng.standard_normal(t) + 20.0, x


def fitted(model: str, effects: dict[str, Any], n_factors: int) -> Any:
    y, x = panel()
    groups = {"n_groups": 3} if model == "GroupedIFE" else {}
    return getattr(gife, model)(y, x, n_factors=n_factors, **groups, **effects).fit()


@pytest.mark.filterwarnings("ignore:The covariance, clustered")  # two ways need not be positive semidefinite
@pytest.mark.parametrize("n_factors", [1, 0])
@pytest.mark.parametrize("effects", EFFECTS, ids=str)
@pytest.mark.parametrize("model", ["GroupedIFE", "InteractiveFE"])
def test_blocks_give_the_answer_of_the_whole(in_blocks, model, effects, n_factors):
    whole = told(fitted(model, effects, n_factors))
    in_blocks()
    res = fitted(model, effects, n_factors)
    assert res.model._estimate.in_blocks
    for name, values in told(res).items():
        tol = 1e-7 if name in BY_ENTITY else 1e-9
        np.testing.assert_allclose(values, whole[name], rtol=1e-8, atol=tol, err_msg=name)


def told(res: Any) -> dict[str, Any]:
    """What a fit says, by name."""
    names = ("params", "bse", "factors", "time_effects", "ssr", "rsquared_within", "llf", *BY_ENTITY)
    robust = {kind + str(options): res.get_robustcov_results(kind, **options).bse for kind, options in KINDS}
    tests = res.diagnostics()["statistic"].to_numpy(dtype=float)
    return {name: np.asarray(getattr(res, name)) for name in names} | robust | {"diagnostics": tests}


BY_ENTITY = ("loadings", "resid", "entity_effects")
TWO_WAYS: dict[str, Any] = {"groups": ["entity", "time"]}
KINDS: list[tuple[str, dict[str, Any]]] = [("cluster", {}), ("HC1", {}), ("HAC", {}), ("hac-groupsum", {})]
KINDS.append(("cluster", TWO_WAYS))


@pytest.fixture(scope="module")
def large():
    """A fit in blocks, and the same as a whole."""
    with pytest.MonkeyPatch.context() as patch:
        whole = fitted("GroupedIFE", {}, 1)
        patch.setattr(blocks, "LARGE", 1)
        patch.setattr(blocks, "UNCOPIED", 1)
        patch.setattr(blocks, "_ELEMENTS", 1 << 9)
        yield fitted("GroupedIFE", {}, 1), whole


def rows_of(res: Any) -> set[str]:
    """What of the rows a fit has made so far."""
    made = {"model." + name for name in ("exog", "wexog", "endog", "wendog", "weights") if name in vars(res.model)}
    made |= {"design." + name for name in ("row_index", "esample") if name in vars(res.model.design)}
    made |= {"index." + name for name in ("entity_codes", "order") if name in vars(res.model.design.index)}
    return made | {"estimate." + name for name in ("z", "z_projected") if name in vars(res.model._estimate)}


def test_a_fit_and_its_report_have_nothing_with_rows(large):
    res, _ = large
    str(res.summary()), res.t_test("x1[1] = 1"), res.membership, res.unit_params
    assert rows_of(res) == set()


def test_what_has_rows_comes_when_it_is_asked_for(large):
    res, whole = large
    for name in ("exog", "wexog", "endog", "wendog", "weights"):
        np.testing.assert_allclose(getattr(res.model, name), getattr(whole.model, name), atol=1e-8, err_msg=name)
    assert res.resid.index.equals(whole.resid.index)
    assert res.model.data.orig_exog.equals(whole.model.data.orig_exog)
    assert res.model.exog_names == whole.model.exog_names and res.model.endog_names == whole.model.endog_names
    np.testing.assert_allclose(res.predict(), whole.predict(), atol=1e-7)
    np.testing.assert_allclose(res.vif(), whole.vif(), rtol=1e-7)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = res.model.nonsense


def test_pickles_and_results_without_data(in_blocks):
    in_blocks()
    res = fitted("GroupedIFE", {"absorb": "entity"}, 1)
    again = pickle.loads(pickle.dumps(res))
    np.testing.assert_array_equal(again.params, res.params)
    np.testing.assert_array_equal(again.model.exog, res.model.exog)
    report = str(again.summary())
    fresh = pickle.loads(pickle.dumps(res))
    fresh.remove_data()
    assert fresh.model.exog is None and fresh.model.wexog is None and fresh.model.data.orig_exog is None
    assert str(fresh.summary()) == report
    assert len(pickle.dumps(fresh)) < 0.5 * len(pickle.dumps(res))


def test_holes_labels_out_of_order_and_weights_take_the_other_way(in_blocks):
    y, x = panel(40)
    in_blocks()
    holes = y.copy()
    holes[3, 4] = np.nan
    model = gife.InteractiveFE(holes, x, n_factors=1)
    assert model.design.nobs == y.size - 1
    turned = gife.InteractiveFE(y, x, n_factors=1, entity=[f"e{40 - i:02d}" for i in range(40)], time=range(2000, 2012))
    assert turned.design.index.entities[0] == "e01" and turned.design.row_index[0] == ("e40", 2000)
    in_order = gife.InteractiveFE(y, x, n_factors=1, entity=[f"e{i:02d}" for i in range(40)], time=range(2000, 2012))
    assert type(in_order.design).__name__ == "CompleteDesign"
    results = [one.fit() for one in (turned, in_order)]
    np.testing.assert_allclose(results[0].params, results[1].params, rtol=1e-8)
    np.testing.assert_allclose(results[0].loadings.loc["e40"], results[1].loadings.loc["e00"], atol=1e-8)
    weighted = gife.InteractiveFE(y, x, n_factors=1, weights=np.ones(y.shape))
    np.testing.assert_allclose(weighted.fit().params, results[0].params, rtol=1e-6)


def test_collinear_and_absorbed_regressors_are_told_apart_in_blocks(in_blocks):
    y, x = panel(40)
    size = x[:, :1, :1].repeat(12, axis=1)
    wide = np.concatenate([x, x[:, :, :1] - 2.0 * x[:, :, 1:], size], axis=2)
    said = []
    for switch in (lambda: None, in_blocks):
        switch()
        with pytest.warns(CollinearityWarning) as caught:
            model = gife.GroupedIFE(y, wide, n_groups=2, n_factors=1, absorb="entity")
        said.append([str(one.message) for one in caught])
        assert model._names == ["x1", "x2"]
    assert said[0] == said[1]
    with pytest.raises(DataError, match="doesn't vary"):
        gife.GroupedIFE(np.full_like(y, 3.0), x, n_groups=2, n_factors=1)


def test_memory_mapped_arrays_are_neither_copied_nor_changed(in_blocks, tmp_path):
    y, x = panel()
    in_blocks()
    kept = fitted("GroupedIFE", {}, 1)
    for name, values in (("y", y), ("x", x)):
        np.save(tmp_path / f"{name}.npy", values)
    mapped = [np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in ("y", "x")]
    model = gife.GroupedIFE(*mapped, n_groups=3, n_factors=1)
    assert np.shares_memory(model._x, mapped[1]) and np.shares_memory(model._y, mapped[0])
    np.testing.assert_array_equal(model.fit().params, kept.params)
    np.testing.assert_array_equal(mapped[1], x)


@pytest.mark.parametrize("threads", [1, 3])
def test_numbers_do_not_depend_on_the_number_of_threads(in_blocks, monkeypatch, threads):
    in_blocks()
    expected = fitted("GroupedIFE", {"absorb": "time"}, 1)
    monkeypatch.setattr(blocks, "n_threads", lambda: threads)
    found = fitted("GroupedIFE", {"absorb": "time"}, 1)
    for name in ("params", "bse", "resid"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


# ---- Parquet files ----


@pytest.fixture
def frame() -> pd.DataFrame:
    y, x = panel()
    n, t = y.shape
    ids = {"firm": np.repeat([f"f{i:03d}" for i in range(n)], t), "year": np.tile(np.arange(1990, 1990 + t), n)}
    return pd.DataFrame(ids | {"y": y.ravel(), "x1": x[:, :, 0].ravel(), "x2": x[:, :, 1].ravel() - 4.0, "size": 1})


IDS = {"entity": "firm", "time": "year"}


@pytest.mark.parametrize("formula", ["y ~ 0 + x1 + x2", "y ~ x1 + log(abs(x2)) | firm", "y ~ x1 + I(x2**2) | year"])
def test_a_sorted_parquet_file_is_read_in_pieces(in_blocks, monkeypatch, tmp_path, frame, formula):
    pytest.importorskip("pyarrow")
    frame.to_parquet(tmp_path / "panel.parquet", row_group_size=70)
    model = gife.GroupedIFE.from_formula(formula, frame, n_groups=2, n_factors=1, **IDS)
    in_blocks()
    monkeypatch.setattr(file_design, "_ROWS", 100)
    inside = gife.GroupedIFE.from_formula(formula, frame, n_groups=2, n_factors=1, **IDS).fit()
    res = gife.GroupedIFE.from_formula(formula, tmp_path / "panel.parquet", n_groups=2, n_factors=1, **IDS).fit()
    assert type(res.model.design).__name__ == "CompleteDesign" and type(model.design).__name__ == "PanelDesign"
    assert list(res.params.index) == list(inside.params.index)
    np.testing.assert_array_equal(res.params, inside.params)
    np.testing.assert_array_equal(res.bse, inside.bse)
    assert str(res.summary()) == str(inside.summary())
    assert res.groups.equals(inside.groups) and res.factors.equals(inside.factors)
    new = frame.iloc[30:50]
    np.testing.assert_array_equal(res.predict(new), inside.predict(new))
    by = {"groups": "firm"}
    np.testing.assert_array_equal(*(one.get_robustcov_results("cluster", **by).bse for one in (res, inside)))
    assert res.resid.index.names == ["firm", "year"]


def test_files_that_need_all_rows_at_once_are_read_as_a_whole(in_blocks, monkeypatch, tmp_path, frame):
    pytest.importorskip("pyarrow")
    in_blocks()
    path = tmp_path / "panel.parquet"
    cases = {
        "mixed": (frame.sample(frac=1.0, random_state=0), "y ~ 0 + x1 + x2", {}),
        "holes": (frame.drop(index=[5, 40]), "y ~ 0 + x1 + x2", {}),
        "lags": (frame, "y ~ 0 + L(y) + x1", {}),
        "levels": (frame.assign(kind=(np.arange(len(frame)) % 3).astype(str)), "y ~ x1 + kind", {}),
        "weights": (frame, "y ~ 0 + x1", {"weights": "size"}),
    }
    for name, (rows, formula, options) in cases.items():
        rows.to_parquet(path)
        found, expected = (
            gife.InteractiveFE.from_formula(formula, data, n_factors=1, **IDS, **options) for data in (path, rows)
        )
        assert found.design.exog_names == expected.design.exog_names, name
        np.testing.assert_array_equal(found.design.exog, expected.design.exog, err_msg=name)
    monkeypatch.setattr(file_design, "free_memory", lambda: 1000)
    cases["mixed"][0].to_parquet(path)
    with pytest.raises(DataError, match=r"rows are not in order.*sorted by entity"):
        gife.InteractiveFE.from_formula("y ~ 0 + x1", path, n_factors=1, **IDS)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"panel.parquet could not be read.*Every file must be complete"):
        gife.InteractiveFE.from_formula("y ~ 0 + x1", path, n_factors=1, **IDS)
    with pytest.raises(DataError, match="No file is called"):
        gife.InteractiveFE.from_formula("y ~ 0 + x1", tmp_path / "other.parquet", n_factors=1, **IDS)


def test_ids_may_be_the_index_of_the_frame_that_was_written(in_blocks, tmp_path, frame):
    pytest.importorskip("pyarrow")
    in_blocks()
    own = frame.set_index(["firm", "year"])
    half = len(own) // 2 // 12 * 12
    own.iloc[:half].to_parquet(tmp_path / "a.parquet")
    own.iloc[half:].to_parquet(tmp_path / "b.parquet")
    model = gife.InteractiveFE.from_formula("y ~ 0 + x1", str(tmp_path / "*.parquet"), n_factors=1)
    assert type(model.design).__name__ == "CompleteDesign" and model.design.index.entity_name == "firm"
    expected = gife.InteractiveFE.from_formula("y ~ 0 + x1", own, n_factors=1)
    np.testing.assert_array_equal(model.fit().params, expected.fit().params)
