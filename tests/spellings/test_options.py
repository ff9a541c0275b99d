"""Options in words of other packages: the line of the error runs, and gives the numbers that were asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

import gifepanel as gife
import gifepanel.formula.api as gfa
from gifepanel.exceptions import GifepanelError, SpecificationError, SpecificationWarning
from gifepanel.models.crossfitted import _covariance as covariance
from gifepanel.spellings.tables import COVARIANCES, FIT_WORDS, MODEL_WORDS, WITH_LEARNER

FIRM = {"cov_type": "cluster", "cov_kwds": {"groups": "firm"}}
SECTOR = {"cov_type": "cluster", "cov_kwds": {"groups": "sector"}}
BOTH = {"cov_type": "cluster", "cov_kwds": {"groups": ["firm", "year"]}}
HC1, PLAIN = {"cov_type": "HC1"}, {"cov_type": "nonrobust"}
NW, DK = {"cov_type": "hac-panel"}, {"cov_type": "driscoll-kraay"}

FITS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    # pyfixest, fixest
    ({"vcov": "iid"}, PLAIN),
    ({"vcov": "hetero"}, HC1),
    ({"vcov": "HC1", "use_t": True}, {**HC1, "use_t": True}),
    ({"vcov": {"CRV1": "sector"}}, SECTOR),
    ({"vcov": {"CRV3": "sector"}}, {**SECTOR, "cov_type": "CR3"}),
    ({"vcov": {"CRV1": "firm + year"}}, BOTH),
    ({"vcov": {"CRV1": "sector"}, "ssc": "stata"}, {**SECTOR, "ssc": "stata"}),
    ({"vcov": "~sector"}, SECTOR),
    ({"vcov": "cluster ~ sector"}, SECTOR),
    ({"vcov": "~firm + year"}, BOTH),
    ({"vcov": "twoway"}, BOTH),
    ({"vcov": "sector"}, SECTOR),
    ({"vcov": ["firm", "year"]}, BOTH),
    (
        {"vcov": "NW", "vcov_kwargs": {"lag": 2, "time_id": "year", "panel_id": "firm"}},
        {**NW, "cov_kwds": {"maxlags": 2}},
    ),
    ({"vcov": "NW(2) ~ firm + year"}, {**NW, "cov_kwds": {"maxlags": 2}}),
    ({"vcov": "DK(2) ~ year"}, {**DK, "cov_kwds": {"maxlags": 2}}),
    ({"se": "cluster"}, FIRM),
    ({"se": "hetero"}, HC1),
    ({"cluster": "sector"}, SECTOR),
    ({"cluster": ["firm", "year"]}, BOTH),
    ({"cluster": "~sector"}, SECTOR),
    ({"n_threads": 1, "fixef_tol": 1e-8, "vcov": "HC1"}, {**HC1, "tol": 1e-8}),
    # linearmodels
    ({"cov_type": "clustered", "cluster_entity": True}, FIRM),
    ({"cov_type": "clustered", "cluster_entity": True, "cluster_time": True}, BOTH),
    ({"cov_type": "clustered", "cluster_time": True}, {"cov_type": "cluster", "cov_kwds": {"groups": "year"}}),
    ({"cov_type": "clustered", "cluster_entity": True, "group_debias": True}, {**FIRM, "ssc": "statsmodels"}),
    ({"cov_type": "clustered", "clusters": "frame"}, SECTOR),
    ({"cov_type": "clustered", "clusters": "array"}, SECTOR),
    ({"cov_type": "robust", "debiased": True}, HC1),
    ({"cov_type": "unadjusted"}, PLAIN),
    ({"cov_type": "heteroskedastic"}, HC1),
    ({"cov_type": "homoskedastic"}, PLAIN),
    ({"cov_type": "kernel"}, DK),
    ({"cov_type": "kernel", "kernel": "bartlett", "bandwidth": 3.0}, {**DK, "cov_kwds": {"maxlags": 3}}),
    # statsmodels, with keys at the wrong level or of the wrong name
    ({"groups": "sector"}, SECTOR),
    ({"cov_type": "cluster", "groups": "sector"}, SECTOR),
    ({"cov_type": "hac-panel", "maxlags": 3}, {**NW, "cov_kwds": {"maxlags": 3}}),
    ({"cov_kwds": {"cluster": "sector"}}, SECTOR),
    ({"cov_type": "cluster", "cov_kwds": {"clusters": "sector"}}, SECTOR),
    ({"cov_type": "clustered", "cov_kwds": {"groups": "sector"}}, SECTOR),
    ({"cov_type": "CRV1", "cov_kwds": {"groups": "sector", "use_correction": False}}, {
        "cov_type": "cluster", "cov_kwds": {"groups": "sector", "use_correction": False}}),
    # Stata, plm
    ({"robust": True}, HC1),
    ({"vce": "robust"}, HC1),
    ({"vce": "cluster sector"}, SECTOR),
    ({"vce": "vce(cluster sector)"}, SECTOR),
    ({"cov_type": "cluster sector"}, SECTOR),
    ({"cov_type": "arellano"}, FIRM),
    ({"cov_type": "NW"}, NW),
    ({"cov_type": "Newey-West"}, NW),
    ({"cov_type": "DK"}, DK),
    ({"cov_type": "twoway"}, BOTH),
    ({"cov_type": "CRV1"}, FIRM),
    ({"cov_type": {"CRV1": "sector"}}, SECTOR),
    ({"cov_type": "~sector"}, SECTOR),
    ({"se": True}, PLAIN),
    # robust errors by clusters, resampling, kernels and lags at other places
    ({"vcov": "HC1 ~ sector"}, SECTOR),
    ({"se": "hetero", "cluster": "sector"}, SECTOR),
    ({"cluster": True}, FIRM),
    ({"cov_type": "wild"}, FIRM),
    ({"vce": "hac nw 3"}, {**NW, "cov_kwds": {"maxlags": 3}}),
    ({"cov_kwds": {"lag": 2}}, {**NW, "cov_kwds": {"maxlags": 2}}),
    ({"cov_kwds": {"maxlags": 2}}, {**NW, "cov_kwds": {"maxlags": 2}}),
    ({"cov_type": "kernel", "kernel": "parzen"}, DK),
    ({"cov_type": "hac-panel", "cov_kwds": {"nlags": 2}}, {**NW, "cov_kwds": {"maxlags": 2}}),
    ({"seed": 1, "vcov": "HC1"}, HC1),
    ({"alpha": 0.1, "vcov": "HC1"}, HC1),
]  # fmt: skip


def given(options: dict[str, Any], flat: pd.DataFrame) -> dict[str, Any]:
    clusters = {"frame": flat[["sector"]], "array": flat["sector"].to_numpy()}
    return {k: clusters.get(v, v) if isinstance(v, str) else v for k, v in options.items()}


def repaired(model: Any, fix: str, **names: Any) -> Any:
    """Run the line: a call of ``fit``, or arguments of it."""
    call = fix if fix.startswith("fit(") else f"fit({fix})"
    return eval(f"model.{call}", {"model": model, **names})


@pytest.mark.parametrize(("options", "ours"), FITS, ids=lambda value: str(value)[:60])
def test_fit_of_partialled_least_squares(
    effects: gife.PartialledOLS, flat: pd.DataFrame, options: dict[str, Any], ours: dict[str, Any]
) -> None:
    asked = given(options, flat)
    with pytest.raises(SpecificationError) as caught:
        effects.fit(**asked)
    names = {k: v for k, v in asked.items() if not isinstance(v, str)}
    found = repaired(effects, str(caught.value.fix), **names)
    direct = effects.fit(**ours)
    np.testing.assert_allclose(found.bse, direct.bse, rtol=1e-13)
    assert found.use_t == direct.use_t


NO_FACTORS = {"CR3": "cluster"}


@pytest.fixture(scope="module")
def estimated(factors: gife.InteractiveFE) -> Any:
    """One estimate: covariances are compared on it."""
    return factors.fit()


@pytest.mark.parametrize(("options", "ours"), FITS, ids=lambda value: str(value)[:60])
def test_fit_with_factors(
    factors: gife.InteractiveFE,
    estimated: Any,
    flat: pd.DataFrame,
    options: dict[str, Any],
    ours: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if isinstance(options.get("ssc"), str):
        pytest.skip("conventions are for PartialledOLS")
    asked = given(options, flat)
    with pytest.raises(SpecificationError) as caught:
        factors.fit(**asked)
    called: dict[str, Any] = {}

    def fit(**kwargs: Any) -> Any:
        called.update(kwargs)

    fix = str(caught.value.fix)
    names = {k: v for k, v in asked.items() if not isinstance(v, str)}
    if options.get("vcov") in ("twoway",) or options.get("cov_type") == "twoway":
        assert "firm" in fix and "year" in fix
    eval(fix if fix.startswith("fit(") else f"fit({fix})", {"fit": fit, **names})
    kind = ours["cov_type"]
    wanted = {"cov_type": NO_FACTORS.get(kind, kind), **ours.get("cov_kwds", {})}
    asked_for = {"cov_type": called.get("cov_type", "nonrobust"), **called.get("cov_kwds", {})}
    np.testing.assert_allclose(
        estimated.get_robustcov_results(**asked_for).bse, estimated.get_robustcov_results(**wanted).bse, rtol=1e-13
    )


@pytest.fixture(scope="module")
def learned(flat: pd.DataFrame) -> gife.PartialledOLS:
    return gife.PartialledOLS.from_formula(
        "y ~ x | firm", flat, entity="firm", time="year", partial="z + w", learner=LinearRegression()
    )


@pytest.mark.parametrize(("options", "ours"), FITS, ids=lambda value: str(value)[:60])
def test_fit_with_a_learner(
    learned: gife.PartialledOLS, flat: pd.DataFrame, options: dict[str, Any], ours: dict[str, Any]
) -> None:
    asked = given(options, flat)
    with pytest.raises(SpecificationError) as caught:
        learned.fit(**asked)
    called: dict[str, Any] = {}
    fix, names = str(caught.value.fix), {k: v for k, v in asked.items() if not isinstance(v, str)}
    eval(fix if fix.startswith("fit(") else f"fit({fix})", {"fit": called.update, **names})
    kind = ours["cov_type"]
    wanted = WITH_LEARNER.get(kind, kind) if called else kind  # the default of a model with a learner is its own
    if not ours.get("cov_kwds", {}).get("use_correction", True):
        wanted = "CR0"
    found = [covariance(learned, *choice, (None, None)) for choice in (
        (called.get("cov_type", wanted), called.get("cov_kwds")),
        (wanted, {key: value for key, value in ours.get("cov_kwds", {}).items() if key == "groups"}),
    )]  # fmt: skip
    assert found[0][0] == found[1][0]
    for one, other in zip(found[0][1], found[1][1], strict=True):
        np.testing.assert_array_equal(one, other)
    assert wanted in (kind, "CR0") or not called or "is the nearest" in str(caught.value.needed)
    assert called.get("ssc") == ours.get("ssc") and called.get("use_t") == ours.get("use_t")


def test_lines_for_a_learner_run(learned: gife.PartialledOLS) -> None:
    for options in ({"vcov": {"CRV1": "sector"}}, {"cov_type": "kernel"}, {"robust": True, "n_threads": 1}):
        with pytest.raises(SpecificationError) as caught:
            learned.fit(**options)
        assert np.isfinite(repaired(learned, str(caught.value.fix)).bse).all()


@pytest.mark.parametrize(
    ("arguments", "options", "ours"),
    [
        (("clustered",), {"cluster_entity": True}, ("cluster", {"groups": "firm"})),
        (("clustered",), {}, ("cluster", {"groups": "firm"})),
        (("NW",), {"lag": 3}, ("hac-panel", {"maxlags": 3})),
        (("DK",), {}, ("driscoll-kraay", {})),
        (("~sector",), {}, ("cluster", {"groups": "sector"})),
        (({"CRV1": "sector"},), {}, ("cluster", {"groups": "sector"})),
        (("unadjusted",), {}, ("nonrobust", {})),
        (("kernel",), {"bandwidth": 2}, ("driscoll-kraay", {"maxlags": 2})),
        (("cluster",), {"cluster": "sector"}, ("cluster", {"groups": "sector"})),
        (("cluster",), {"cov_kwds": {"groups": "sector"}}, ("cluster", {"groups": "sector"})),
        (("HC1",), {"cluster": "sector"}, ("cluster", {"groups": "sector"})),
        ((), {"vcov": "iid"}, ("nonrobust", {})),
    ],
)
@pytest.mark.parametrize("which", ["effects", "factors"])
def test_another_covariance_of_results(
    request: pytest.FixtureRequest, estimated: Any, which: str, arguments: Any, options: Any, ours: Any
) -> None:
    res = estimated if which == "factors" else request.getfixturevalue("effects").fit()
    with pytest.raises(SpecificationError) as caught:
        res.get_robustcov_results(*arguments, **options)
    found = eval(f"res.{caught.value.fix}", {"res": res})
    np.testing.assert_allclose(found.bse, res.get_robustcov_results(ours[0], **ours[1]).bse, rtol=1e-13)


MODELS: list[tuple[str, str, dict[str, Any], str]] = [
    ("PartialledOLS", "y ~ x | firm", {"vcov": {"CRV1": "sector"}}, 'P("y ~ x | firm", data).fit(**SECTOR)'),
    ("PartialledOLS", "y ~ x | firm", {"cov_type": "HC1"}, 'P("y ~ x | firm", data).fit(cov_type="HC1")'),
    ("PartialledOLS", "y ~ x | firm", {"vcov": "HC1", "weights": "size"},
     'P("y ~ x | firm", data, weights="size").fit(cov_type="HC1")'),
    ("PartialledOLS", "y ~ x", {"absorb": "firm"}, 'P("y ~ x | firm", data)'),
    ("PartialledOLS", "y ~ x", {"absorb": ["firm", "year"]}, 'P("y ~ x | firm + year", data)'),
    ("PartialledOLS", "y ~ x | firm", {"fixef": ["firm", "year"]}, 'P("y ~ x | firm + year", data)'),
    ("PartialledOLS", "y ~ x", {"fe": "firm^sector"}, 'P("y ~ x | firm^sector", data)'),
    ("PartialledOLS", "y ~ x", {"entity_effects": True, "time_effects": True, "entity": "firm", "time": "year"},
     'P("y ~ x | firm + year", data)'),
    ("PartialledOLS", "y ~ x", {"effect": "twoways", "index": ["firm", "year"]}, 'P("y ~ x | firm + year", data)'),
    ("PartialledOLS", "y ~ x", {"time_effects": True, "entity_effects": False, "index": ["firm", "year"]},
     'P("y ~ x | year", data)'),
    ("PartialledOLS", "y ~ L(x) | firm", {"panel_id": ["firm", "year"]},
     'P("y ~ L(x) | firm", data, entity="firm", time="year")'),
    ("PartialledOLS", "y ~ l(x, 1) | firm", {"panel_id": ["firm", "year"], "vcov": "NW"},
     'P("y ~ L(x) | firm", data, entity="firm", time="year").fit(cov_type="hac-panel")'),
    ("PartialledOLS", "y ~ x | firm", {"subset": "year > 2003"}, 'P("y ~ x | firm", data[data.year > 2003])'),
    ("PartialledOLS", "y ~ x | firm", {"subset": "mask"}, 'P("y ~ x | firm", data[data.year > 2003])'),
    ("PartialledOLS", "y ~ x | firm", {"weights": "size", "weights_type": "aweights"},
     'P("y ~ x | firm", data, weights="size")'),
    ("PartialledOLS", "y ~ x | firm", {"weights": "n", "weights_type": "fweights"},
     'P("y ~ x | firm", data.loc[data.index.repeat(data.n)])'),
    ("PartialledOLS", "y ~ x | firm", {"fweights": "n"}, 'P("y ~ x | firm", data.loc[data.index.repeat(data.n)])'),
    ("PartialledOLS", "y ~ x | firm", {"weights": "series", "weights_type": "fweights"},
     'P("y ~ x | firm", data.loc[data.index.repeat(data.n)])'),
    ("PartialledOLS", "y ~ x | firm", {"aweights": "size"}, 'P("y ~ x | firm", data, weights="size")'),
    ("PartialledOLS", "y ~ x | firm", {"pweights": "size"},
     'P("y ~ x | firm", data, weights="size").fit(cov_type="HC1")'),
    ("PartialledOLS", "y ~ x", {"offset": "z", "fe": "firm"}, 'P("I(y - z) ~ x | firm", data)'),
    ("PartialledOLS", "y ~ x | firm", {"controls": ["z", "w"]}, 'P("y ~ x | firm", data, partial="z + w")'),
    ("PartialledOLS", "y ~ x", {"model": "within", "index": ["firm", "year"]}, 'P("y ~ x | firm", data)'),
    ("PartialledOLS", "y ~ x", {"model": "random", "index": "firm"}, 'P("y ~ x | firm", data)'),
    ("PartialledOLS", "y ~ x", {"model": "pooling", "index": ["firm", "year"]}, 'P("y ~ x", data)'),
    ("PartialledOLS", "y ~ x | firm", {"drop_absorbed": True, "check_rank": False}, 'P("y ~ x | firm", data)'),
    ("PartialledOLS", "y ~ x | firm", {"fixef_rm": "none"}, 'P("y ~ x | firm", data, singletons="keep")'),
    ("PartialledOLS", "y ~ x | firm", {"split": "half"}, 'P("y ~ x | firm", data[data.half == 1])'),
    ("PartialledOLS", "y ~ x + z | firm", {"r": 1, "index": ["firm", "year"]}, 'I("y ~ x + z | firm", flat, **IDS)'),
    ("InteractiveFE", "y ~ x + z",
     {"n_factors": 1, "index": ["firm", "year"], "force": "two-way", "se": True, "nboots": 9},
     'I("y ~ x + z | firm + year", data, **IDS)'),
    ("InteractiveFE", "y ~ x + z", {"n_factors": 1, "index": ["firm", "year"], "force": "none"},
     'I("y ~ x + z", data, **IDS)'),
    ("InteractiveFE", "y ~ x + z | firm", {"n_factors": 1, "entity": "firm", "time": "year", "vcov": "hetero"},
     'I("y ~ x + z | firm", data, **IDS).fit(cov_type="HC1")'),
    ("InteractiveFE", "y ~ x + z | firm", {"r": (0, 2), "index": ["firm", "year"]},
     'I("y ~ x + z | firm", data, **{**IDS, "n_factors": range(0, 3)})'),
]  # fmt: skip


@pytest.mark.parametrize(("name", "formula", "options", "ours"), MODELS, ids=lambda value: str(value)[:50])
def test_models_from_formulas(flat: pd.DataFrame, name: str, formula: str, options: dict[str, Any], ours: str) -> None:
    subset = flat["year"] > 2003
    rows = {"mask": subset, "series": flat["n"]}
    asked = {k: rows.get(v, v) if isinstance(v, str) else v for k, v in options.items()}
    with pytest.raises(SpecificationError) as caught:
        getattr(gife, name).from_formula(formula, flat, **asked)
    names = {
        "PartialledOLS": gife.PartialledOLS, "InteractiveFE": gife.InteractiveFE, "GroupedIFE": gife.GroupedIFE,
        "P": gife.PartialledOLS.from_formula, "I": gife.InteractiveFE.from_formula, "data": flat, "flat": flat,
        "subset": subset, "weights": flat["n"], "np": np, "SECTOR": SECTOR,
        "IDS": {"entity": "firm", "time": "year", "n_factors": 1},
    }  # fmt: skip
    found, direct = eval(str(caught.value.fix), names), eval(ours, names)
    found = found[1] if isinstance(found, dict) else found
    found, direct = (one if hasattr(one, "bse") else one.fit() for one in (found, direct))
    np.testing.assert_allclose(found.params, direct.params, rtol=1e-10)
    np.testing.assert_allclose(found.bse, direct.bse, rtol=1e-10)


def test_models_from_frames_and_arrays(panel: pd.DataFrame) -> None:
    endog, exog = panel["y"], panel[["x", "z"]]
    names = {"PartialledOLS": gife.PartialledOLS, "GroupedIFE": gife.GroupedIFE, "InteractiveFE": gife.InteractiveFE}
    for name, options, ours in (
        ("PartialledOLS", {"entity_effects": True, "time_effects": True}, {"absorb": ["firm", "year"]}),
        ("PartialledOLS", {"absorb": "firm", "time_effects": True}, {"absorb": ["firm", "year"]}),
        ("InteractiveFE", {"n_factors": 1, "entity_effects": True}, {"n_factors": 1, "absorb": "firm"}),
    ):
        with pytest.raises(SpecificationError) as caught:
            getattr(gife, name)(endog, exog, **options)
        found = eval(str(caught.value.fix), {**names, "endog": endog, "exog": exog}).fit()
        np.testing.assert_allclose(found.params, getattr(gife, name)(endog, exog, **ours).fit().params, rtol=1e-10)


@pytest.mark.parametrize("name", ["PartialledOLS", "InteractiveFE", "GroupedIFE"])
def test_data_and_formula_swapped(panel: pd.DataFrame, name: str) -> None:
    counts = {"PartialledOLS": {}, "InteractiveFE": {"n_factors": 1}, "GroupedIFE": {"n_groups": 1, "n_factors": 1}}[
        name
    ]
    formula, kind = "y ~ x + z | firm", getattr(gife, name)
    for call in (
        lambda: kind.from_formula(panel, formula, **counts),
        lambda: kind(formula, panel, **counts),
        lambda: kind(panel, formula, **counts),
    ):
        if name == "PartialledOLS" and call.__code__.co_consts and "swap" in str(call):
            continue
        with pytest.raises(GifepanelError) as caught:
            call()
        found = eval(str(caught.value.fix), {name: kind, "data": panel})
        assert found.formula == formula and all(getattr(found, key) == value for key, value in counts.items())


def test_formula_functions_pass_the_words_on(panel: pd.DataFrame) -> None:
    with pytest.raises(SpecificationError) as caught:
        gfa.pols("y ~ x | firm", panel, vcov={"CRV1": "sector"})
    assert caught.value.fix == (
        'PartialledOLS.from_formula("y ~ x | firm", data).fit(cov_type="cluster", cov_kwds={"groups": "sector"})'
    )
    with pytest.raises(SpecificationError, match="range"):
        gfa.ife("y ~ x", panel, n_factors=1, r=(0, 5))


def test_options_of_the_model_given_to_fit(effects: gife.PartialledOLS, flat: pd.DataFrame) -> None:
    with pytest.raises(SpecificationError) as caught:
        effects.fit(weights="size", cov_type="HC1")
    found = eval(str(caught.value.fix), {"PartialledOLS": gife.PartialledOLS, "data": flat})
    direct = gife.PartialledOLS.from_formula("y ~ x + z | firm + year", flat, weights="size").fit(cov_type="HC1")
    np.testing.assert_allclose(found.bse, direct.bse, rtol=1e-12)


def test_covariances_without_counterpart_name_what_is_near(effects: gife.PartialledOLS) -> None:
    for word, near in (("conley", "driscoll-kraay"), ("wild", "wild_bootstrap")):
        with pytest.raises(SpecificationError) as caught:
            effects.fit(vcov=word)
        assert near in str(caught.value)
        repaired(effects, str(caught.value.fix))
    with pytest.raises(SpecificationError, match="named here"):
        effects.fit(vcov=np.eye(2))


@pytest.mark.parametrize("keep", [True, False])
def test_singletons_of_linearmodels(flat: pd.DataFrame, keep: bool) -> None:
    with pytest.raises(SpecificationError) as caught:
        gife.PartialledOLS.from_formula("y ~ x | firm", flat, singletons=keep)
    assert caught.value.fix == f'singletons="{"keep" if keep else "drop"}"'


def test_two_candidates_are_no_range(panel: pd.DataFrame) -> None:
    with pytest.warns(SpecificationWarning, match="two candidates, 0 and 2") as said:
        model = gife.InteractiveFE.from_formula("y ~ x + z | firm", panel, n_factors=(0, 2))
    assert said[0].message.fix == "n_factors=range(0, 3)"
    assert model.select().factors.index.tolist() == [0, 2]
    gife.InteractiveFE.from_formula("y ~ x + z | firm", panel, n_factors=[0, 2])
    gife.InteractiveFE.from_formula("y ~ x + z | firm", panel, n_factors=(1, 2))


def test_no_word_is_in_two_rows() -> None:
    words = [word for row in COVARIANCES.values() for word in row.split()]
    assert len(words) == len(set(words))
    assert not set(MODEL_WORDS) & set(FIT_WORDS) - {"panel_id"}


def test_select_and_functions_of_formulas(flat: pd.DataFrame) -> None:
    """Lines for ``select`` and for counts of factors that have another name."""
    names = {"gife": gife, "data": flat, "InteractiveFE": gife.InteractiveFE, "GroupedIFE": gife.GroupedIFE}
    with pytest.raises(SpecificationError, match="select got r=") as caught:
        gife.select("y ~ x + z", flat, r=(0, 1), n_groups=1, index=["firm", "year"], force="unit", vcov="HC1")
    assert "Errors belong to a fit" in str(caught.value)
    assert str(eval(str(caught.value.fix), names)) == str(
        gife.select("y ~ x + z | firm", flat, n_factors=range(2), n_groups=1, entity="firm", time="year")
    )
    with pytest.raises(SpecificationError, match="DataFrame first"):
        gife.select(flat, "y ~ x")
    with pytest.raises(SpecificationError, match="unknown option 'colour'"):
        gife.select("y ~ x", flat, colour=1)
    for function, options in ((gfa.ife, {"r": 1}), (gfa.gife, {"r": 1, "K": 2})):
        with pytest.raises(SpecificationError) as caught:
            function("y ~ x", flat, index=["firm", "year"], **options)
        model = eval(str(caught.value.fix), names)
        assert (model.n_factors, model.n_groups) == (1, options.get("K", 1))
