"""``tidy``, ``glance``, ``augment``: numbers, rows in their order, the caller's kind of frame."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from gifepanel import GroupedIFE, InteractiveFE, PartialledOLS
from gifepanel.exceptions import DataError, SpecificationError
from gifepanel.interop.tidy import augment, glance, tidy
from tests.interop.conftest import demand

COLUMNS = ["estimate", "std_error", "statistic", "p_value", "conf_low", "conf_high"]


def polars_frame(data: pd.DataFrame) -> Any:
    pl = pytest.importorskip("polars")
    flat = data.reset_index()
    return pl.DataFrame({name: flat[name].to_list() for name in flat})


# ---- tidy


def test_tidy_is_the_table_of_coefficients(res: Any) -> None:
    table = res.tidy(conf_level=0.9)
    assert list(table["term"]) == list(res.params.index)
    expected = np.column_stack([res.params, res.bse, res.tvalues, res.pvalues, res.conf_int(0.1)])
    assert_allclose(table[COLUMNS].to_numpy(), expected, rtol=1e-13)


def test_tidy_agrees_with_the_regression_on_dummies() -> None:
    res = PartialledOLS.from_formula("ls ~ lp + li | state + year", demand()).fit()
    full = res.to_statsmodels(dummies=True)
    expected = np.column_stack([full.params, full.bse, full.tvalues, full.pvalues, full.conf_int()])[:2]
    assert_allclose(res.tidy()[COLUMNS].to_numpy(), expected, rtol=1e-7, atol=1e-300)


def test_groups_and_regressors_have_columns(mixed: Any, single: Any) -> None:
    table = mixed.tidy().set_index("term")
    assert pd.isna(table.loc["li", "group"])
    assert table["group"].drop("li").tolist() == [1, 1, 2, 2]
    assert table.loc["L(ls)[2]", "regressor"] == "L(ls)"
    for k, name in ((1, "lp"), (2, "L(ls)"), (2, "li")):
        own = table[(table["group"].fillna(k) == k) & (table["regressor"] == name)]
        assert own["estimate"].item() == mixed.params_by_group.loc[k, name]
    assert "group" not in single.tidy()


@pytest.mark.parametrize("level", [0, 1, 95])
def test_levels_are_shares(single: Any, level: float) -> None:
    with pytest.raises(SpecificationError, match="between 0 and 1"):
        single.tidy(conf_level=level)


# ---- glance


def test_glance_counts_what_was_estimated(grouped: Any) -> None:
    row = grouped.glance().iloc[0]
    assert len(grouped.glance()) == 1
    assert (row["nobs"], row["n_entities"], row["n_times"], row["n_groups"], row["n_factors"]) == (1380, 46, 30, 3, 2)
    assert (row["model"], row["absorbed"], row["cov_type"]) == ("GroupedIFE", "state", "nonrobust")
    assert row["df"] + row["df_residual"] == row["nobs"]
    resid = np.asarray(grouped.resid)
    assert_allclose(row["sigma"], np.sqrt(resid @ resid / row["df_residual"]), rtol=1e-10)
    assert_allclose(row["aic"], -2 * row["log_lik"] + 2 * row["df"], rtol=1e-12)


def test_glance_agrees_with_the_regression_on_dummies(partialled: Any) -> None:
    row = partialled.glance().iloc[0]
    full = partialled.to_statsmodels(dummies=True)
    ours = [row[name] for name in ("r_squared", "adj_r_squared", "log_lik", "aic", "bic", "df_residual", "nobs")]
    theirs = [full.rsquared, full.rsquared_adj, full.llf, full.aic, full.bic, full.df_resid, full.nobs]
    assert_allclose(ours, theirs, rtol=1e-9)
    assert_allclose(row["sigma"] ** 2, full.mse_resid, rtol=1e-9)
    assert (row["n_entities"], row["cov_type"], row["converged"]) == (46, "cluster", True)
    assert pd.isna(row["n_groups"])
    assert pd.isna(row["n_factors"])


def test_tables_are_there_after_the_data_are_gone(partialled: Any, single: Any) -> None:
    for res in (partialled, single):
        before = res.tidy(), res.glance()
        other = pickle.loads(pickle.dumps(res))
        other.remove_data()
        pd.testing.assert_frame_equal(other.tidy(), before[0])
        same = [name for name in before[1] if name not in ("n_entities", "n_times")]
        pd.testing.assert_frame_equal(other.glance()[same], before[1][same])
        with pytest.raises(DataError, match="remove_data"):
            other.augment()


# ---- augment


def parts_of(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[[name for name in (".linear", ".effects", ".common") if name in frame]]


def test_rows_stay_as_they_were_given(res: Any) -> None:
    data = res.augment()
    given = demand()
    pd.testing.assert_frame_equal(data[list(given)], given)
    used = data[".resid"].notna()
    assert used.sum() == res.nobs
    assert_allclose((data[".fitted"] + data[".resid"])[used], given["ls"][used], rtol=1e-12)
    assert_allclose(parts_of(data)[used].sum(axis=1), data[".fitted"][used], rtol=1e-12)
    assert_allclose(data[".fitted"][used], res.predict().loc[data.index[used]], rtol=1e-12)
    assert_allclose(data[".linear"][used], res.predict(effects=False).loc[data.index[used]], rtol=1e-12)


def test_shuffled_rows_with_gaps(cigar: pd.DataFrame) -> None:
    flat = demand().reset_index().sample(frac=1.0, random_state=1)
    flat.loc[flat["state"] == "Utah", "lp"] = np.nan
    model = GroupedIFE.from_formula("ls ~ lp | state", flat, entity="state", time="year", n_groups=2, n_factors=1)
    res = model.fit()
    data = res.augment()
    assert data.index.equals(flat.index)
    assert data.loc[data["state"] == "Utah", ".fitted"].isna().all()
    assert data.loc[data["state"] == "Utah", ".group"].isna().all()
    rest = data[data["state"] != "Utah"]
    assert_allclose(rest[".fitted"] + rest[".resid"], rest["ls"], rtol=1e-12)
    assert (rest[".group"].to_numpy(dtype=int) == res.groups.loc[rest["state"]].to_numpy()).all()
    slope = res.params_by_group["lp"].loc[rest[".group"].to_numpy(dtype=int)].to_numpy()
    assert_allclose(rest[".linear"], slope * rest["lp"], rtol=1e-12)


def test_arrays_and_stored_results_have_the_sample(single: Any) -> None:
    rng = np.random.default_rng(0)
    y, x = rng.normal(size=(12, 9)), rng.normal(size=(12, 9, 2))
    res = InteractiveFE(y, x, n_factors=1).fit()
    data = res.augment()
    assert list(data.columns[:3]) == ["y", "x1", "x2"]
    assert_allclose(data["y"], y.ravel())
    assert_allclose(data[".fitted"] + data[".resid"], data["y"], rtol=1e-12)
    again = pickle.loads(pickle.dumps(single)).augment()
    assert list(again.columns[:3]) == ["ls", "lp", "li"]
    assert_allclose(again[".fitted"], single.augment()[".fitted"], rtol=1e-13)


def test_frames_of_regressors_get_the_outcome() -> None:
    data = demand()
    res = PartialledOLS(data["ls"], data[["lp", "li"]], absorb="state").fit()
    assert_allclose(res.augment()["ls"], data["ls"])


def test_columns_of_the_data_are_not_overwritten(single: Any) -> None:
    data = single.augment()
    res = PartialledOLS.from_formula("ls ~ lp | state", data).fit()
    with pytest.raises(DataError, match=r"columns '\.fitted', '\.resid'.*drop"):
        res.augment()


# ---- polars and others


@pytest.mark.parametrize("model", ["grouped", "partialled"])
def test_polars_in_polars_out(model: str) -> None:
    pl = pytest.importorskip("polars")
    data = demand()
    frame = polars_frame(data)
    names = {"entity": "state", "time": "year"}
    if model == "grouped":
        options = {"n_groups": 2, "n_factors": 1}
        res, plain = (
            GroupedIFE.from_formula("ls ~ lp | state", d, **options, **ids).fit()
            for d, ids in ((frame, names), (data, {}))
        )
    else:
        res, plain = (PartialledOLS.from_formula("ls ~ lp | state + year", d).fit() for d in (frame, data))
    for ours, pandas in ((res.tidy(), plain.tidy()), (res.glance(), plain.glance()), (res.augment(), plain.augment())):
        assert isinstance(ours, pl.DataFrame)
        assert isinstance(pandas, pd.DataFrame)
        pandas = pandas.reset_index(names=["state", "year"]) if "state" in ours.columns else pandas
        assert ours.columns == list(pandas.columns)
        for name in ours.columns:
            found, expected = ours[name].to_list(), pandas[name].tolist()
            if isinstance(expected[0], float):
                assert_allclose(np.array(found, float), expected, rtol=1e-12)
            elif name not in ("n_entities", "n_times"):
                assert found == [None if value is pd.NA else value for value in expected]
    assert res.glance()["n_groups"].dtype == pl.Int64
    assert isinstance(res.tidy(native="pandas"), pd.DataFrame)
    assert res.augment(native="pandas").shape == res.augment().shape


def test_frames_by_name(single: Any) -> None:
    pl, pa = pytest.importorskip("polars"), pytest.importorskip("pyarrow")
    assert isinstance(tidy(single, native="polars"), pl.DataFrame)
    assert isinstance(glance(single, native="pyarrow"), pa.Table)
    out = augment(single, native="polars")
    assert out.columns[:2] == ["state", "year"]
    assert out[".fitted"].null_count() == 0
    assert out["year"].to_list() == demand().index.get_level_values("year").tolist()
    with pytest.raises(SpecificationError, match="native is 'spark'"):
        tidy(single, native="spark")


def test_missing_rows_are_nulls_in_polars(mixed: Any) -> None:
    pytest.importorskip("polars")
    out = mixed.augment(native="polars")
    lost = 46
    assert [out[name].null_count() for name in (".fitted", ".resid", ".group")] == [lost] * 3
    assert out[".fitted"].is_nan().sum() == 0
    assert mixed.tidy(native="polars")["group"].null_count() == 1


def test_only_our_results_are_taken() -> None:
    with pytest.raises(SpecificationError, match=r"not results of gifepanel but a builtins\.dict"):
        tidy({})
