"""Bad input: the class of the error, the culprit in its text, a fix that works, and nothing computed before."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gifepanel import GroupedIFE, InteractiveFE
from gifepanel.exceptions import DataError, FormulaError, SpecificationError

FORMULA = "y ~ 0 + x1 + x2"
COUNTS = {"n_groups": 3, "n_factors": 2}


@pytest.fixture(autouse=True)
def no_work(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bool]]:
    """Solvers are out of order until a test allows them."""
    allowed = [False]
    for module, name in (("grouped", "fit_grouped"), ("interactive", "fit_one_group")):
        path = f"gifepanel.models.{module}.{name}"
        original = getattr(__import__(f"gifepanel.models.{module}", fromlist=["x"]), name)

        def guarded(*args: Any, _original: Any = original, **kwargs: Any) -> Any:
            assert allowed[0], "work began before the input was checked"
            return _original(*args, **kwargs)

        monkeypatch.setattr(path, guarded)
    yield allowed


def grouped(data: pd.DataFrame, formula: str = FORMULA, **options: Any) -> GroupedIFE:
    return GroupedIFE.from_formula(formula, data, **{**COUNTS, **options})


def options_of(fix: str | None) -> dict[str, Any]:
    """The fix ``n_groups=3`` as keyword arguments."""
    return eval(f"dict({fix})", {"data": None})


@pytest.mark.parametrize(
    ("options", "culprit", "fix"),
    [
        ({"n_groups": "3"}, "n_groups is '3'", "n_groups=3"),
        ({"n_groups": 3.0}, "n_groups is 3.0", "n_groups=3"),
        ({"n_groups": 0}, "n_groups is 0", None),
        ({"n_groups": True}, "n_groups is True", None),
        ({"n_groups": 25}, "n_groups is 25 with 24 entities", None),
        ({"n_factors": -1}, "n_factors is -1", None),
        ({"n_factors": 20}, "n_factors is 20 with 24 entities and 20 periods", None),
        ({"n_factors": 24}, "n_factors is 24", None),
        ({"n_factors": "two"}, "n_factors is 'two'", None),
    ],
)
@pytest.mark.filterwarnings("ignore:The number of factors")  # as many as "auto" offers
def test_counts(
    panel: pd.DataFrame, no_work: list[bool], options: dict[str, Any], culprit: str, fix: str | None
) -> None:
    with pytest.raises(SpecificationError) as caught:
        grouped(panel, **options)
    assert culprit in str(caught.value)
    assert fix is None or caught.value.fix == fix
    no_work[0] = True
    assert grouped(panel, **{**options, **options_of(caught.value.fix)}).fit().params.notna().all()


@pytest.mark.parametrize("missing", ["n_groups", "n_factors"])
def test_counts_not_given(panel: pd.DataFrame, missing: str) -> None:
    rest = {name: value for name, value in COUNTS.items() if name != missing}
    with pytest.raises(SpecificationError, match=f"{missing} was not given") as caught:
        GroupedIFE.from_formula(FORMULA, panel, **rest)
    grouped(panel, **options_of(caught.value.fix))


def test_factors_that_leave_nothing(panel: pd.DataFrame) -> None:
    few = panel.groupby(level="entity").head(5).groupby(level="time").head(6)
    with pytest.raises(SpecificationError, match="No residual degrees of freedom"):
        InteractiveFE.from_formula("y ~ x1 + x2", few, n_factors=4)


def test_too_few_periods_for_the_slopes_of_an_entity(panel: pd.DataFrame, no_work: list[bool]) -> None:
    short = panel.groupby(level="entity").head(5)
    with pytest.raises(DataError) as caught:
        grouped(short, "y ~ x1 + x2 | entity")
    for part in ("24 of 24 entities have too few periods", "1, 2, 3, 4, 5", "2 regressors", "2 factors", "6 periods"):
        assert part in str(caught.value)
    no_work[0] = True
    grouped(short, "y ~ x1 + x2 | entity", **options_of(caught.value.fix)).fit()


@pytest.mark.parametrize(
    ("options", "culprit", "fix"),
    [
        ({"n_group": 2}, "'n_group'", "n_groups=2"),
        ({"n_factor": 2}, "'n_factor'", "n_factors=2"),
        ({"comon": ["x1"]}, "'comon'", "common=['x1']"),
        ({"zzz": 1}, "'zzz'", "Leave 'zzz' out."),
    ],
)
def test_unknown_options_of_the_model(panel: pd.DataFrame, options: dict[str, Any], culprit: str, fix: str) -> None:
    with pytest.raises(SpecificationError) as caught:
        grouped(panel, **options)
    assert culprit in caught.value.found and caught.value.fix == fix
    with pytest.raises(SpecificationError) as caught:
        GroupedIFE(panel["y"], panel[["x1", "x2"]], **COUNTS, **options)
    assert culprit in caught.value.found and caught.value.fix == fix


def test_groups_are_no_option_of_interactive_effects(panel: pd.DataFrame) -> None:
    with pytest.raises(SpecificationError, match="n_groups"):
        InteractiveFE.from_formula(FORMULA, panel, **COUNTS)


@pytest.mark.parametrize(
    ("options", "fix"),
    [
        ({"kapa": 1}, "kappa=1"),
        ({"cov_typ": "HC1"}, "cov_type='HC1'"),
        ({"maxiter": 50}, "max_iter=50"),
        ({"disp": 0}, "Leave 'disp' out."),
        ({"cov_type": "hc 1"}, "cov_type='HC1'"),
        ({"cov_type": "clustered"}, "cov_type='cluster'"),
        ({"cov_type": "HC3"}, 'cov_type="HC1"'),
        ({"cov_type": None}, "cov_type='nonrobust'"),
        ({"classify": "Nearest"}, "classify='nearest'"),
        ({"metric": "euclidean"}, "metric='absolute'"),
        ({"start": "k-means"}, "start='kmeans'"),
        ({"start": np.zeros((2, 2))}, 'start="kmeans"'),
        ({"start": np.full((3, 2), np.nan)}, 'start="kmeans"'),
        ({"kappa": "big"}, "kappa=1"),
        ({"kappa": -1.0}, "kappa=1"),
        ({"kappa": np.nan}, "kappa=1"),
        ({"kappa_scale": None}, "kappa_scale=1"),
        ({"n_starts": 0}, None),
        ({"bias_correction": "jacknife"}, "bias_correction='jackknife'"),
        ({"bias_correction": "moon_weidner"}, "bias_correction='moon-weidner'"),
        ({"bias_correction": "Moon Weidner"}, "bias_correction='moon-weidner'"),
        ({"bias_correction": "moon-weidner-b1"}, 'predetermined=["x1"]'),
        ({"bias_correction": 1.0}, None),
        ({"bias_correction": "dynamic"}, 'predetermined=["x1"]'),
        ({"random_state": "seed"}, "random_state=0"),
        ({"random_state": -1}, "random_state=0"),
        ({"m1": 0}, None),
        ({"m2": 20}, None),
        ({"tol": 0}, None),
        ({"max_iter": 0}, None),
        ({"max_iter": 1.5}, None),
        ({"max_sweeps": 0}, None),
        ({"sweep_tol": None}, None),
        ({"polish": "no"}, "polish=True"),
        ({"ssc": "fixest"}, "ssc=True"),
        ({"use_t": "yes"}, "use_t=True"),
    ],
)
def test_options_of_fit(panel: pd.DataFrame, no_work: list[bool], options: dict[str, Any], fix: str | None) -> None:
    name = next(iter(options))
    with pytest.raises(SpecificationError) as caught:
        grouped(panel).fit(**options)
    assert name in caught.value.found
    assert fix is None or caught.value.fix == fix
    no_work[0] = True
    repaired = options_of(caught.value.fix) if "=" in str(caught.value.fix) else {}
    if "predetermined" in repaired:
        assert grouped(panel, **repaired).fit(**options).bias is not None
    else:
        assert grouped(panel).fit(**repaired).params.notna().all()


@pytest.mark.parametrize("options", [{"kappa": 1.0}, {"classify": "nearest"}, {"start": "zero"}])
def test_options_of_groups_are_unknown_to_interactive_effects(panel: pd.DataFrame, options: dict[str, Any]) -> None:
    with pytest.raises(SpecificationError, match=next(iter(options))):
        InteractiveFE.from_formula(FORMULA, panel, n_factors=2).fit(**options)


@pytest.mark.parametrize("options", [{"tol": -1}, {"max_iter": 0}, {"n_starts": 0}, {"random_state": "a"}, {"m1": 50}])
def test_options_of_interactive_fit(panel: pd.DataFrame, options: dict[str, Any]) -> None:
    with pytest.raises(SpecificationError, match=next(iter(options))):
        InteractiveFE.from_formula(FORMULA, panel, n_factors=2).fit(**options)


def test_jackknife_needs_halves_that_can_be_fitted(panel: pd.DataFrame, no_work: list[bool]) -> None:
    short = panel.groupby(level="entity").head(6)
    model = InteractiveFE.from_formula(f"{FORMULA} | entity", short, n_factors=2)
    with pytest.raises(SpecificationError, match="halves of 3 periods") as caught:
        model.fit(bias_correction="jackknife")
    no_work[0] = True
    model.fit(**options_of(caught.value.fix))


@pytest.mark.parametrize("column", ["X1", "x11", 7])
def test_predetermined_misspelt(panel: pd.DataFrame, column: Any) -> None:
    with pytest.raises(SpecificationError, match="predetermined names") as caught:
        grouped(panel, predetermined=[column])
    assert repr(column) in caught.value.found
    grouped(panel, **options_of(caught.value.fix))


def test_common_misspelt_or_everything(panel: pd.DataFrame) -> None:
    with pytest.raises(SpecificationError, match="'X_1'") as caught:
        grouped(panel, common=["X_1"])
    assert caught.value.fix is None or "x1" in caught.value.fix
    with pytest.raises(SpecificationError, match="InteractiveFE"):
        grouped(panel, common=["x1", "x2"])


@pytest.mark.parametrize("effect", ["region", "entity^time", "region[trend]"])
def test_effects_other_than_entity_and_time(panel: pd.DataFrame, effect: str) -> None:
    with pytest.raises(FormulaError) as caught:
        grouped(panel, f"{FORMULA} | {effect}")
    assert effect in caught.value.found and "'entity'" in str(caught.value) and "'time'" in str(caught.value)


@pytest.mark.parametrize("arrays", [True, False])
def test_absorb_unknown(panel: pd.DataFrame, arrays: bool) -> None:
    y, x = panel["y"], panel[["x1", "x2"]]
    if arrays:
        y, x = y.to_numpy().reshape(24, 20), x.to_numpy().reshape(24, 20, 2)
    with pytest.raises(SpecificationError, match="'entiti'") as caught:
        GroupedIFE(y, x, absorb="entiti", **COUNTS)
    assert "entity" in str(caught.value.fix)


def test_missing_option(panel: pd.DataFrame) -> None:
    with pytest.raises(SpecificationError, match="missing='skip'") as caught:
        grouped(panel, missing="skip")
    grouped(panel, **options_of(caught.value.fix))


# ---- the data


def test_no_regressor_left(panel: pd.DataFrame) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(DataError, match="No regressor is left: size, constant"):
            grouped(panel, "y ~ size + constant | entity")


def test_outcome_among_the_regressors(panel: pd.DataFrame, no_work: list[bool]) -> None:
    with pytest.raises(SpecificationError, match="'y' is also among the regressors") as caught:
        GroupedIFE(panel["y"], panel[["y", "x1", "x2"]], **COUNTS)
    scope = {"exog": panel[["y", "x1", "x2"]]}
    exec(str(caught.value.fix), scope)
    GroupedIFE(panel["y"], scope["exog"], **COUNTS)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data.iloc[1:],
        lambda data: data.drop(index=[(3, 1), (3, 2), (7, 20)]),
        lambda data: data.loc[(data.index.get_level_values("time") > 2) | (data.index.get_level_values("entity") < 4)],
        lambda data: data.assign(x1=data["x1"].where(np.arange(len(data)) != 5)),
    ],
    ids=["one row", "two entities", "most entities late", "missing value"],
)
@pytest.mark.parametrize("flat", [False, True])
def test_panels_with_holes_are_taken_as_they_are(panel: pd.DataFrame, damage: Any, flat: bool) -> None:
    data = damage(panel)
    options: dict[str, Any] = {}
    if flat:
        data, options = data.reset_index(), {"entity": "entity", "time": "time"}
    model = InteractiveFE.from_formula(FORMULA, data, n_factors=1, **options)
    wide = damage(panel).dropna()["x1"].unstack()
    assert model.design.nobs == model.sample.n_observed == int(wide.notna().to_numpy().sum()) < 480
    assert (model.n_entities, model.n_times, model.sample.n_cells) == (*wide.shape, wide.size)
    assert model.sample.shortest[1] == wide.notna().sum(axis=1).min()
    assert model.sample.longest[1] == 20
    assert f"Cells observed  {100 * model.design.nobs / wide.size:.1f}%" in repr(model)
    np.testing.assert_array_equal(model.design.index.observed, wide.notna())
    np.testing.assert_array_equal(model._x[:, :, 0], wide.fillna(0.0))


def test_arrays_with_holes_are_frames_with_missing_rows(panel: pd.DataFrame) -> None:
    y, x = panel["y"].to_numpy(copy=True).reshape(24, 20), panel[["x1", "x2"]].to_numpy().reshape(24, 20, 2).copy()
    y[3, 4], x[5, 6, 1], y[7, :9] = np.nan, np.nan, np.nan
    holes = np.isnan(y) | np.isnan(x).any(axis=2)
    frame = GroupedIFE.from_formula(FORMULA, panel[~holes.ravel()], **COUNTS)
    masked = (np.ma.array(panel["y"].to_numpy().reshape(24, 20), mask=np.isnan(y)), np.ma.masked_invalid(x))
    for model in (
        GroupedIFE(y, x, **COUNTS),
        GroupedIFE(*masked, **COUNTS),
        GroupedIFE(pd.DataFrame(y).convert_dtypes(), x, **COUNTS),
        GroupedIFE(y.ravel(), pd.DataFrame(x.reshape(-1, 2), panel.index, ["x1", "x2"]), **COUNTS),
    ):
        np.testing.assert_array_equal(model.design.index.observed, ~holes)
        np.testing.assert_array_equal(model._y, frame._y)
        np.testing.assert_array_equal(model._x, frame._x)
        assert model.design.n_dropped == 11
        assert model.sample.incomplete == {"y": 10, "x2": 1}


@pytest.mark.parametrize("power", ["x1**2", "x1^2"])
def test_powers(panel: pd.DataFrame, power: str) -> None:
    with pytest.raises(FormulaError, match=r"I\(x1\*\*2\)") as caught:
        grouped(panel, f"y ~ 0 + x2 + {power}")
    assert "x1" in caught.value.found
    assert grouped(panel, "y ~ 0 + x2 + I(x1**2)").exog_names == ["x2", "I(x1 ** 2)"]


def test_misspelt_column(panel: pd.DataFrame) -> None:
    with pytest.raises(FormulaError, match="'trent'") as caught:
        grouped(panel, "y ~ x1 + trent")
    assert "'trend'" in str(caught.value.fix)


def test_infinite_value(panel: pd.DataFrame, no_work: list[bool]) -> None:
    data = panel.copy()
    data.loc[(5, 3), "x1"] = np.inf
    with pytest.raises(DataError, match="x1"):
        grouped(data)


@pytest.mark.parametrize("endog", [None, "y"])
def test_no_regressors_given(panel: pd.DataFrame, endog: str | None) -> None:
    with pytest.raises(SpecificationError, match="outcome") as caught:
        InteractiveFE(panel[endog] if endog else None, None, n_factors=1)
    assert "InteractiveFE(" in str(caught.value.fix)


def test_arrays_of_the_wrong_shape(panel: pd.DataFrame) -> None:
    y, x = panel["y"].to_numpy(), panel[["x1", "x2"]].to_numpy()
    with pytest.raises(DataError, match=r"exog is an array of shape \(480, 2\)"):
        GroupedIFE(y, x, **COUNTS)
    with pytest.raises(DataError, match="entities first"):
        GroupedIFE(y.reshape(24, 20).T, x.reshape(24, 20, 2), **COUNTS)
    with pytest.raises(DataError, match="list"):
        GroupedIFE(y.reshape(24, 20), [[1.0, 2.0], [3.0]], **COUNTS)


# ---- covariance


@pytest.mark.parametrize(
    ("cov_type", "cov_kwds", "culprit", "fix"),
    [
        ("HAC", {"maxlag": 2}, "'maxlag'", "cov_kwds={'maxlags': 2}"),
        ("HAC", {"maxlags": 20}, "maxlags is 20", "maxlags=2"),
        ("HAC", {"maxlags": 1.5}, "maxlags is 1.5", None),
        ("HAC", {"kernel": "Bartlett"}, "kernel is 'Bartlett'", "kernel='bartlett'"),
        ("cluster", {"group": "region"}, "'group'", "cov_kwds={'groups': 'region'}"),
        ("cluster", "region", "cov_kwds is 'region'", "cov_kwds={\"groups\": 'region'}"),
        ("cluster", {"groups": []}, "empty", None),
        ("cluster", {"groups": "one"}, "(one)", 'cov_type="HC1"'),
        ("cluster", {"groups": np.ones(480)}, "one level", 'cov_type="HC1"'),
        ("cluster", {"groups": np.arange(7)}, "(7,)", None),
        ("cluster", {"groups": 3}, "()", None),
        ("cluster", {"groups": "regoin"}, "'regoin'", None),
        ("nonrobust", {"maxlags": 2}, "'maxlags'", 'fit(cov_type="hac-panel", cov_kwds={"maxlags": 2})'),
        ("HC1", {"groups": "region"}, "'groups'", None),
    ],
)
@pytest.mark.parametrize("model", [grouped, lambda d: InteractiveFE.from_formula(FORMULA, d, n_factors=2)])
def test_covariance_options(
    panel: pd.DataFrame, model: Any, cov_type: str, cov_kwds: Any, culprit: str, fix: str | None
) -> None:
    with pytest.raises((SpecificationError, DataError)) as caught:
        model(panel).fit(cov_type=cov_type, cov_kwds=cov_kwds)
    assert culprit in str(caught.value)
    assert fix is None or caught.value.fix == fix


@pytest.mark.parametrize("given", ["name", "series", "array", "list", "objects"])
def test_missing_clusters(panel: pd.DataFrame, given: str) -> None:
    data = panel.assign(weather=np.where(np.arange(480) < 3, np.nan, np.arange(480) % 7))
    column = data["weather"]
    groups = {
        "name": "weather",
        "series": column,
        "array": column.to_numpy(),
        "list": column.tolist(),
        "objects": column.astype(object).where(column.notna(), None).to_numpy(),
    }[given]
    with pytest.raises(DataError, match="missing in 3 rows"):
        grouped(data).fit(cov_type="cluster", cov_kwds={"groups": groups})
