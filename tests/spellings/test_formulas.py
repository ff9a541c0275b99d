"""Formulas in words of other packages: what they are here, run beside the same model written in our words."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest

import gifepanel as gife
from gifepanel.exceptions import FormulaError
from gifepanel.spellings.formulas import formula_in_our_words

ONE = [
    ("y ~ L.x + z | firm", "y ~ L(x) + z | firm"),
    ("y ~ L2.x | firm", "y ~ L(x, 2) | firm"),
    ("y ~ L(1/2).x | firm", "y ~ L(x, 1) + L(x, 2) | firm"),
    ("y ~ D.x", "y ~ D(x)"),
    ("y ~ D2.x", "y ~ D(D(x))"),
    ("D.y ~ D.x", "D(y) ~ D(x)"),
    ("y ~ F.x", "y ~ F(x)"),
    ("y ~ l(x, 1) | firm", "y ~ L(x) | firm"),
    ("y ~ l(x, 1:2) | firm", "y ~ L(x, 1) + L(x, 2) | firm"),
    ("y ~ d(x) + f(z, 1)", "y ~ D(x) + F(z)"),
    ("y ~ d(x, 2)", "y ~ D(x, 2)"),
    ("y ~ x + i(year) | firm", "y ~ x + C(year) | firm"),
    ("y ~ x + i(year, ref=2003) | firm", "y ~ x + C(year, contr.treatment(base=2003)) | firm"),
    ("y ~ i(half, x) | firm", "y ~ C(half):x | firm"),
    ("y ~ x + i.year", "y ~ x + C(year)"),
    ("y ~ c.x#i.half", "y ~ x:C(half)"),
    ("y ~ c.x##c.z", "y ~ x*z"),
    ("y ~ x + ib2003.year", "y ~ x + C(year, contr.treatment(base=2003))"),
    ("y ~ x + as.factor(year)", "y ~ x + C(year)"),
    ("y ~ x + EntityEffects", "y ~ x | firm"),
    ("y ~ 1 + x + EntityEffects + TimeEffects", "y ~ x | firm + year"),
    ("y ~ EntityEffects + x", "y ~ x | firm"),
    ("y ~ x + TimeEffects | sector", "y ~ x | sector + year"),
    ("y ~ x | firm#half", "y ~ x | firm^half"),
    ("y ~ x | sector*year", "y ~ x | sector^year"),
    ("y ~ x | firm | 0", "y ~ x | firm"),
    ("y ~ LD.x", "y ~ L(D(x))"),
    ("y ~ L.L2.x + D2L.z", "y ~ L(x, 3) + D(D(L(z)))"),
    ("y ~ x | firm##c.z", "y ~ x | firm[z]"),
    ("y ~ x + z | i.sector#c.w + year", "y ~ x + z | sector[[w]] + year"),
    ("y ~ x + 1.half", "y ~ x + {half == 1}"),
    ("y ~ ibn.half + x", "y ~ C(half) + x"),
    ("y ~ i(year, x, 2003) | firm", "y ~ C(year, contr.treatment(base=2003)):x | firm"),
    ("y ~ x + i(sector, ref=c(3, 5))", "y ~ x + C(sector.where(sector != 5, 3), contr.treatment(base=3))"),
    ("y ~ x + C(sector, ref=3)", "y ~ x + C(sector, contr.treatment(base=3))"),
    ("y ~ x + relevel(factor(sector), ref=3)", "y ~ x + C(sector, contr.treatment(base=3))"),
    ("y ~ x + offset(w)", "I(y - w) ~ x"),
    ("y ~ shift(x) | firm", "y ~ L(x) | firm"),
    ("reghdfe y x z, absorb(firm year)", "y ~ x + z | firm + year"),
    ("regress y x L.z", "y ~ x + L(z)"),
    ("y = x + z", "y ~ x + z"),
]


@pytest.mark.parametrize(("theirs", "ours"), ONE)
def test_one_model(panel: pd.DataFrame, theirs: str, ours: str) -> None:
    with pytest.raises(FormulaError) as caught:
        gife.PartialledOLS.from_formula(theirs, panel)
    found = gife.PartialledOLS.from_formula(str(caught.value.fix), panel).fit()
    direct = gife.PartialledOLS.from_formula(ours, panel).fit()
    np.testing.assert_allclose(found.params, direct.params, rtol=1e-11)
    np.testing.assert_allclose(found.bse, direct.bse, rtol=1e-11)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("y ~ sw(x, z) | firm", ["y ~ x | firm", "y ~ z | firm"]),
        ("y ~ x + sw0(z, w)", ["y ~ x", "y ~ x + z", "y ~ x + w"]),
        ("y ~ csw(x, z) | firm", ["y ~ x | firm", "y ~ x + z | firm"]),
        ("y ~ x | csw0(firm, year)", ["y ~ x", "y ~ x | firm", "y ~ x | firm + year"]),
        ("y ~ x + mvsw(z, w)", ["y ~ x", "y ~ x + z", "y ~ x + w", "y ~ x + z + w"]),
        ("c(y, w) ~ x | firm", ["y ~ x | firm", "w ~ x | firm"]),
        ("y ~ sw(l(x, 1), log(size)) | firm", ["y ~ L(x, 1) | firm", "y ~ log(size) | firm"]),
    ],
)
def test_several_models(panel: pd.DataFrame, theirs: str, ours: list[str]) -> None:
    with pytest.raises(FormulaError) as caught:
        gife.PartialledOLS.from_formula(theirs, panel)
    found = eval(str(caught.value.fix), {"gife": gife, "data": panel})
    assert len(found) == len(ours)
    for one, formula in zip(found, ours, strict=True):
        direct = gife.PartialledOLS.from_formula(formula, panel).fit()
        pd.testing.assert_series_equal(one.params, direct.params, rtol=1e-11)


def test_clusters_of_lfe(panel: pd.DataFrame) -> None:
    with pytest.raises(FormulaError) as caught:
        gife.PartialledOLS.from_formula("y ~ x | firm | 0 | sector", panel)
    found = eval(str(caught.value.fix), {"gife": gife, "data": panel})
    direct = gife.PartialledOLS.from_formula("y ~ x | firm", panel).fit(
        cov_type="cluster", cov_kwds={"groups": "sector"}
    )
    np.testing.assert_allclose(found.bse, direct.bse, rtol=1e-12)


@pytest.mark.parametrize(
    ("formula", "effects"),
    [
        ("y ~ z | firm | x ~ w", ["firm"]),
        ("y ~ z | firm + year | x ~ w", ["firm", "year"]),
        ("y ~ z + [x ~ w] + EntityEffects", ["firm"]),
        ("y ~ z | x ~ w", []),
        ("y ~ 1 + z + [x ~ w]", []),
        ("y ~ z + (x = w)", []),
    ],
)
def test_instruments_go_on_elsewhere(panel: pd.DataFrame, formula: str, effects: list[str]) -> None:
    linearmodels: Any = pytest.importorskip("linearmodels")
    with pytest.raises(FormulaError, match="instruments, x ~ w") as caught:
        gife.PartialledOLS.from_formula(formula, panel)
    names: dict[str, Any] = {"gife": gife, "linearmodels": linearmodels, "data": panel}
    *before, last = str(caught.value.fix).split("; ")
    for line in before:
        exec(line, names)
    flat = panel.reset_index()
    dummies = [pd.get_dummies(flat[name], drop_first=True, dtype=float) for name in effects]
    exog = pd.concat([pd.Series(1.0, flat.index, name="one"), flat[["z"]], *dummies], axis=1)
    exog.columns = [str(k) for k in range(exog.shape[1])]
    full = linearmodels.IV2SLS(flat["y"], exog, flat[["x"]], flat[["w"]]).fit()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = eval(last, names)
    np.testing.assert_allclose(found.params["x"], full.params["x"], rtol=1e-9)


@pytest.mark.parametrize("kind", ["GroupedIFE", "InteractiveFE"])
def test_models_with_factors(panel: pd.DataFrame, kind: str) -> None:
    counts = {"n_factors": 1} | ({"n_groups": 2} if kind == "GroupedIFE" else {})
    with pytest.raises(FormulaError) as caught:
        getattr(gife, kind).from_formula("y ~ x + z + EntityEffects", panel, **counts)
    assert caught.value.fix == "y ~ x + z | firm"


def test_names_of_the_callers_stay_theirs(panel: pd.DataFrame) -> None:
    def f(values: Any) -> Any:
        return values**2

    renamed = panel.rename(columns={"w": "L.x"})
    assert gife.PartialledOLS.from_formula("y ~ f(x)", panel).exog_names[-1] == "f(x)"
    assert gife.PartialledOLS.from_formula("y ~ L.x", renamed).exog_names[-1] == "L.x"
    with pytest.raises(FormulaError, match="'sal'") as caught:
        gife.PartialledOLS.from_formula("sal ~ f(x)", panel)
    assert "F(x)" not in str(caught.value)


@pytest.mark.parametrize(
    "formula",
    [
        "y ~ x",
        "y ~ {x == 1.5} + I(2.5*x)",
        "y ~ i(year, bin=2)",
        "y ~ x + EntityEffects:z",
        "y ~ L(x) + C(year) | firm^year + sector[x]",
        "log(y) ~ x*z + {x > 0}",
        "y ~",
    ],
)
def test_our_formulas_have_no_words_of_others(formula: str) -> None:
    assert formula_in_our_words(formula, "firm", "year") is None


@pytest.mark.parametrize("names", [("__index_level_0__", "__index_level_1__"), ("firm id", "a.year"), (None, None)])
def test_lines_name_ids_as_the_formula_can_read_them(flat: pd.DataFrame, names: tuple[str, str]) -> None:
    """A parquet file read without its index, names with blanks, levels without names."""
    entity, time = names
    frame = flat.set_index(["firm", "year"]).rename_axis([entity, time])
    want = gife.PartialledOLS.from_formula("y ~ x | firm + year", flat).fit().params["x"]
    with pytest.raises(FormulaError) as caught:
        gife.PartialledOLS.from_formula("y ~ x + EntityEffects + TimeEffects", frame)
    found = gife.PartialledOLS.from_formula(str(caught.value.fix), frame).fit()
    np.testing.assert_allclose(found.params["x"], want)
    with pytest.raises(gife.exceptions.SpecificationError) as refused:
        gife.PartialledOLS.from_formula("y ~ x", frame, entity_effects=True, time_effects=True)
    again = eval(str(refused.value.fix), {"PartialledOLS": gife.PartialledOLS, "data": frame}).fit()
    np.testing.assert_allclose(again.params["x"], want)
    if entity is None:
        return
    columns = frame.reset_index()
    with pytest.raises(gife.exceptions.DataError, match="neither entity= nor time=") as missing:
        gife.InteractiveFE.from_formula("y ~ x", columns, n_factors=1)
    ids = eval(f"dict({missing.value.fix})")
    assert ids == {"entity": entity, "time": time}
    for term in (f"C(`{time}`)", f"C(`{entity}`)"):
        with pytest.raises(FormulaError, match="dummies of") as dummies:
            gife.InteractiveFE.from_formula(f"y ~ x + {term}", columns, n_factors=1, **ids)
        line = str(dummies.value.fix).strip('"')
        assert "C(" not in line
        assert gife.InteractiveFE.from_formula(line, columns, n_factors=1, **ids).exog_names == ["x"]
