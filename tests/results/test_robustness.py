"""Slopes under other choices: every row is the fit that it says it is."""

from __future__ import annotations

import html
import warnings
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest

import gifepanel as gife
from gifepanel.datasets import simulate
from gifepanel.exceptions import DataError, SpecificationError

PANEL = simulate("S", 30, 16, random_state=4)
FORMULA = "y ~ x1 + x2"


def grouped(data: pd.DataFrame = PANEL.data, **options: Any) -> Any:
    return gife.GroupedIFE.from_formula(FORMULA, data, **{"n_groups": 2, "n_factors": 1, **options})


@pytest.fixture(scope="module")
def res() -> Any:
    return grouped().fit(cov_type="cluster")


@pytest.fixture(scope="module")
def checks(res: Any) -> Any:
    return res.robustness()


def values(checks: Any, specification: str) -> pd.DataFrame:
    own = checks.table[checks.table["specification"] == specification]
    assert len(own) == len(checks.slopes), specification
    return own.set_index("slope")


def quiet(model: Any, **options: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(**options)


@pytest.mark.parametrize(
    ("specification", "numbers", "options"),
    [
        ("as fitted", {}, {}),
        ("R = 2", {"n_factors": 2}, {}),
        ("c = 2", {}, {"kappa_scale": 2.0}),
        ("nearest", {}, {"classify": "nearest"}),
        ("soft", {}, {"groups": "soft"}),
        ("corrected, B1, B2, B3", {}, {"bias_correction": True}),
        ("half-panel jackknife", {}, {"bias_correction": "jackknife"}),
        ("driscoll-kraay", {}, {"cov_type": "driscoll-kraay"}),
        ("cluster, groups known", {}, {"groups_known": True}),
    ],
)
def test_a_row_is_the_fit_it_names(checks: Any, specification: str, numbers: Any, options: Any) -> None:
    own = quiet(grouped(**numbers), **{"cov_type": "cluster", **options})
    got = values(checks, specification)
    np.testing.assert_allclose(got["estimate"], own.params, rtol=1e-7)
    if not options.get("cov_type"):  # after a robust fit another covariance keeps the normal distribution, as there
        np.testing.assert_allclose(got[["lower", "upper"]], own.conf_int(), rtol=1e-6)
    np.testing.assert_allclose(got["se"], own.bse, rtol=1e-6)
    np.testing.assert_allclose(got["ssr"], own.ssr, rtol=1e-7)


def test_other_numbers_of_groups_show_the_group_of_most_members(res: Any, checks: Any) -> None:
    one = quiet(grouped(n_groups=1), cov_type="cluster")
    got = values(checks, "K = 1")
    np.testing.assert_allclose(got.loc["x1[1]", "estimate"], one.params["x1[1]"], rtol=1e-8)
    np.testing.assert_allclose(got.loc["x1[2]", "estimate"], one.params["x1[1]"], rtol=1e-8)
    assert got["note"].iloc[0] == "groups 1 and 2 are one"
    three = quiet(grouped(n_groups=3), cov_type="cluster")
    got, shared = values(checks, "K = 3"), pd.crosstab(res.groups, three.groups)
    best = max(
        ((a, b) for a in shared.columns for b in shared.columns if a != b),
        key=lambda pair: shared.loc[1, pair[0]] + shared.loc[2, pair[1]],
    )
    for k, other in enumerate(best, 1):
        np.testing.assert_allclose(got.loc[f"x2[{k}]", "estimate"], three.params[f"x2[{other}]"], rtol=1e-8)
    np.testing.assert_allclose(got.loc["Intercept", "estimate"], three.params["Intercept"], rtol=1e-8)
    rest = ({1, 2, 3} - set(best)).pop()
    assert f"a further group of {three.group_sizes[rest]}" in got["note"].iloc[0]


def test_one_choice_at_a_time(checks: Any) -> None:
    base = checks.settings.iloc[0]
    for label, own in checks.settings.iloc[1:].iterrows():
        choice = checks.table.loc[checks.table["specification"] == label, "choice"].iloc[0]
        assert list(own.index[own != base]) == [choice], label
    assert checks.settings.index.is_unique


def test_ranges(checks: Any) -> None:
    found = checks.ranges()
    for slope, own in checks.table.groupby("slope"):
        some = own.dropna(subset=["estimate"])
        assert found.loc[slope, "lowest"] == some["estimate"].min()
        assert found.loc[slope, "highest"] == some["estimate"].max()
        assert found.loc[slope, "n"] == len(some)
        assert found.loc[slope, "same_sign"] == (some["estimate"] * found.loc[slope, "estimate"] > 0).sum()


def test_workers_change_nothing(res: Any, checks: Any) -> None:
    with joblib.parallel_config(backend="threading", n_jobs=2):
        found = res.robustness(["bias", "errors", "factors"]).table
    some = checks.table[checks.table["choice"].isin(["", "factors", "bias", "errors"])]
    pd.testing.assert_frame_equal(found, some.reset_index(drop=True), check_exact=True)


def test_a_checkpoint_goes_on_and_grows(res: Any, checks: Any, tmp_path: Any) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        res.robustness(["bias"], checkpoint=tmp_path, progress=stop)
    seen: list[Any] = []
    found = res.robustness(["bias", "errors"], checkpoint=tmp_path, progress=lambda *at: seen.append(at)).table
    assert seen == [(2, 2)]
    some = checks.table[checks.table["choice"].isin(["", "bias", "errors"])]
    pd.testing.assert_frame_equal(found, some.reset_index(drop=True), check_exact=True)
    shuffled = grouped(PANEL.data.sample(frac=1, random_state=1)).fit(cov_type="cluster")
    again = shuffled.robustness(["bias", "errors"], checkpoint=tmp_path, progress=lambda *at: pytest.fail("a fit"))
    assert list(again.table["specification"]) == list(found["specification"])
    with pytest.raises(SpecificationError, match="another run: level differs"):
        res.robustness(["bias"], level=0.9, checkpoint=tmp_path)
    with pytest.raises(SpecificationError, match="another run: options differs"):
        grouped().fit().robustness(["bias"], checkpoint=tmp_path)


def test_reports_and_pictures(checks: Any) -> None:
    import matplotlib.pyplot as plt

    for text in (str(checks), checks.summary(["x1[1]", "x2[2]"]).as_text()):
        assert max(map(len, text.splitlines())) <= 78
        for words in ("Slopes under Other Choices", "half-panel jackknife", "sum of squares", "Number of factors"):
            assert words in text
    assert "[0.025" in checks.summary("x1[1]").as_text()
    assert "K = 3" in html.unescape(checks._repr_html_()) and r"\toprule" in checks.as_latex()
    axes = checks.plot(["x1[1]", "x1[2]"])
    assert axes.shape == (2, 2)
    shown = [line.get_ydata()[0] for line in axes[0, 1].lines if line.get_marker() == "o"]
    assert len(axes[1, 0].get_yticks()) == sum(checks.settings[name].nunique() for name in checks.settings)
    own = checks.table[(checks.table["slope"] == "x1[2]") & checks.table["estimate"].notna()]
    assert sum(len(line.get_xdata()) for line in axes[0, 1].lines if line.get_marker() == "o") == len(own)
    assert own.loc[own["choice"] == "", "estimate"].iloc[0] in shown
    checks.plot("x1[1]", sort="choice", ax=plt.subplots(2, 1)[1])
    with pytest.raises(SpecificationError, match="sort is 'size'"):
        checks.plot(sort="size")
    with pytest.raises(SpecificationError, match="'x1' is not a slope"):
        checks.plot("x1")
    with pytest.raises(SpecificationError, match="has 1 Axes"):
        checks.plot(ax=plt.subplots()[1])
    plt.close("all")


def test_what_cannot_be_fitted_says_why() -> None:
    """Halves of two and three periods are too few for two factors."""
    data = PANEL.data[PANEL.data.index.get_level_values("time").isin(range(1, 6))]
    found = gife.InteractiveFE.from_formula(FORMULA, data, n_factors=2).fit().robustness("bias")
    note = values(found, "half-panel jackknife")["note"].iloc[0]
    assert note.startswith("not fitted: ") and "periods" in note
    assert values(found, "half-panel jackknife")["estimate"].isna().all()
    text = " ".join(found.as_text().split())
    assert "not fitted" in text and "nan" not in text
    assert found.ranges()["n"].tolist() == [2, 2, 2]
    assert "jackknife" not in [text.get_text() for text in found.plot()[1, 0].get_yticklabels()]


def test_interactive_effects_holes_and_covariances_asked_for_later() -> None:
    data = PANEL.data.assign(region=[str(int(name) % 6) for name in PANEL.data.index.get_level_values("entity")])
    data = data[np.random.default_rng(0).random(len(data)) > 0.2]
    model = gife.InteractiveFE.from_formula("y ~ x1 + x2 | entity", data, n_factors=1)
    res = model.fit().get_robustcov_results("cluster", groups="region")
    found = res.robustness()
    assert not {"groups", "penalty", "classification"} & set(found.settings)
    other = gife.InteractiveFE.from_formula("y ~ x1 + x2 | entity", data, n_factors=2)
    own = other.fit(cov_type="cluster", cov_kwds={"groups": "region"})
    got = values(found, "R = 2")
    np.testing.assert_allclose(got["estimate"], own.params, rtol=1e-6)
    np.testing.assert_allclose(got["se"], own.bse, rtol=1e-6)
    np.testing.assert_allclose(values(found, "cluster by entity")["se"], model.fit(cov_type="cluster").bse, rtol=1e-9)
    note = f"{int(own.nobs):,} of {int(res.nobs):,} observations"
    assert (note in got["note"].iloc[0]) == (own.nobs != res.nobs)


def test_bad_input(res: Any) -> None:
    for call, what, fix in (
        (lambda: res.robustness("factor"), "choices has 'factor'", "choices=['factors']"),
        (lambda: res.robustness(["bias", 3]), "choices has 3", "choices=['factors']"),
        (lambda: res.robustness([]), "is empty", "choices=['factors']"),
        (lambda: res.robustness(level=95), "level is 95", "level=0.95"),
        (lambda: res.robustness(level=0), "level is 0", "level=0.95"),
    ):
        with pytest.raises(SpecificationError, match=what) as error:
            call()
        assert error.value.fix == fix
    one = gife.InteractiveFE.from_formula(FORMULA, PANEL.data, n_factors=1).fit()
    with pytest.raises(SpecificationError, match="models with groups"):
        one.robustness(["groups"])
    one.remove_data()
    assert not one._results._covariance_options
    with pytest.raises(DataError, match="remove_data"):
        one.robustness()
