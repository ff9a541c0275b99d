"""Interactive fixed effects on the Cigar panel."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np

from gifepanel import InteractiveFE
from gifepanel.datasets import load_cigar
from gifepanel.inference import residual_df
from tests.reference.published import (
    CONVENTIONS,
    PANELIFE_BCORR,
    PANELIFE_BETA,
    PANELIFE_VAR,
    PHTT_BETA,
    SALES_ON_PRICE,
    XTIFE_TWOWAY,
)
from tests.validation.record import Number, Section, number, several

GROWTH = "D(log(sales)) ~ 0 + D(log(real_price)) + D(log(real_income))"
SLOPES = ("price", "income")
LABELS = {(True, False): "state", (True, True): "state + year"}
DIGITS = 1e-9  # recomputed numbers, ten digits shown


@cache
def model(formula: str, n_factors: int, **options: Any) -> InteractiveFE:
    return InteractiveFE.from_formula(formula, load_cigar(), n_factors=n_factors, **options)


@cache
def slopes(formula: str, n_factors: int) -> np.ndarray:
    return np.asarray(model(formula, n_factors).fit().params)


def growth_rates() -> Iterator[Number]:
    for r, beta in PANELIFE_BETA.items():
        # half a unit of the tenth digit, and what PanelIFE's own tolerance leaves
        yield from several([f"R = {r}, {x}" for x in SLOPES], beta, slopes(GROWTH, r), tol=6.1e-11)


def growth_variances() -> Iterator[Number]:
    names = {"nonrobust": "homoskedastic", "HC0": "heteroskedastic", "HAC": "HAC, two lags, uniform"}
    for (r, kind), variances in PANELIFE_VAR.items():
        kwds = {"maxlags": 2, "kernel": "uniform"} if kind == "HAC" else None
        res = model(GROWTH, r).fit(cov_type=kind, cov_kwds=kwds, ssc=False)
        what = [f"R = {r}, {names[kind]}, variance of {x}" for x in SLOPES]
        yield from several(what, variances, res.bse**2, tol=1e-11)


def growth_bias() -> Iterator[Number]:
    for r, terms in PANELIFE_BCORR.items():
        predetermined = InteractiveFE.from_formula(
            GROWTH, load_cigar(), n_factors=r, predetermined=["D(log(real_price))", "D(log(real_income))"]
        )
        bias = predetermined.fit(bias_correction="moon-weidner", m1=2, m2=2).bias
        for name, theirs, ours in zip(("B1", "B2", "B3"), terms, (bias.b1, bias.b2, bias.b3), strict=True):
            yield from several([f"R = {r}, {name}, {x}" for x in SLOPES], theirs, -ours, tol=1e-10)


def intercepts() -> Iterator[Number]:
    data = load_cigar()
    centred = InteractiveFE.from_formula(
        "sales ~ 0 + price", data[["sales", "price"]] - data[["sales", "price"]].mean(), n_factors=2
    )
    ours = {
        "no intercept": slopes("sales ~ 0 + price", 2),
        "grand mean removed first": centred.fit().params,
        "intercept as a regressor": slopes("sales ~ price", 2),
        "unit effects": slopes("sales ~ price | state", 2),
    }
    for name, theirs in CONVENTIONS.items():
        names = ["price"] if len(theirs) == 1 else ["intercept", "price"]
        for what, expected, got in zip(names, theirs, ours[name], strict=True):
            yield number(f"{name}: {what}", expected, got, tol=DIGITS * max(1, abs(expected)))


def standard_errors() -> Iterator[Number]:
    for effects, reference in SALES_ON_PRICE.items():
        label = LABELS[effects]
        fitted = model(f"sales ~ price | {label}", 2)
        kinds: dict[str, tuple[str, dict[str, Any]]] = {
            "none": ("homoskedastic, no factor", {"cov_type": "nonrobust"}),
            "HC0": ("heteroskedastic", {"cov_type": "HC0"}),
            "unit": ("clustered by state", {"cov_type": "cluster", "cov_kwds": {"groups": "state"}}),
            "time": ("clustered by year", {"cov_type": "cluster", "cov_kwds": {"groups": "year"}}),
        }
        for key, (what, options) in kinds.items():
            res = fitted.fit(ssc=False, **options)
            yield number(f"{label}: {what}", reference[key], res.bse["price"], tol=DIGITS)
        for key in ("effects", "parameters"):
            df = residual_df(46, 30, 1, 2, convention=key, entity_effects=True, time_effects=effects[1])
            yield number(f"{label}: residual degrees of freedom, {key} counted", reference["df"][key], df, tol=0)
        ours = fitted.fit().df_resid
        yield number(f"{label}: residual degrees of freedom, ranks counted", reference["df"]["rank"], ours, tol=0)
        corrected = fitted.fit(bias_correction=True, m2=0)
        yield number(f"{label}: corrected slope", reference["beta_bc"], corrected.params["price"], tol=DIGITS)


def not_phtt() -> Iterator[Number]:
    yield from several([f"phtt, R = 5, {x}" for x in SLOPES], PHTT_BETA, slopes(GROWTH, 5), tol=1e-5)


def not_xtife() -> Iterator[Number]:
    fitted = model("sales ~ price | state + year", 2)
    names = {"HC0": "heteroskedastic error", "unit": "error clustered by state"}
    for key, what in names.items():
        kind = {"cov_type": "cluster", "cov_kwds": {"groups": "state"}} if key == "unit" else {"cov_type": key}
        ours = fitted.fit(ssc=False, **kind).bse["price"]
        yield number(f"xtife, two-way effects, {what}", XTIFE_TWOWAY[key], ours, tol=0.01)
    corrected = fitted.fit(bias_correction=True, m2=0).params["price"]
    yield number("xtife, two-way effects, corrected slope", XTIFE_TWOWAY["beta_bc"], corrected, tol=0.001)


CIGAR = "Cigarette panel of Baltagi (2001), 46 states, 1963–92 (`gife.datasets.load_cigar()`)."
SECTIONS = [
    Section(
        "Growth rates, against PanelIFE",
        f"""\
{CIGAR} `{GROWTH}` by {{py:class}}`gifepanel.InteractiveFE`. Reference: R package PanelIFE 0.0 (`ls_factor`, tolerance
1e-10), an implementation of Moon & Weidner (2017).""",
        growth_rates,
    ),
    Section(
        "Covariances, against PanelIFE",
        "The same fits, M1 = M2 = 2, without the degrees-of-freedom factor (`ssc=False`).",
        growth_variances,
    ),
    Section(
        "Bias terms, against PanelIFE",
        """\
The same fits with both regressors predetermined. PanelIFE's terms estimate the bias and are subtracted there;
`results.bias` has what is added, hence the sign is turned here.""",
        growth_bias,
    ),
    Section(
        "Four conventions for an intercept",
        """\
`sales` on `price`, R = 2. What software calls "no additive effects" are three different models. In the order of the
rows: InteractiveEffects and statspai (and Bai's own code); phtt and fect with `force = "none"` (fit `sales ~ 0 + price`
on centred data); Julia's InteractiveFixedEffectModels and Stata's regife, which have `sales ~ price`; unit effects,
where all agree. The reference is an independent solution polished by Newton, which agrees with each of them to the
digits it prints.""",
        intercepts,
    ),
    Section(
        "Standard errors and corrected slopes under additive effects",
        """\
`sales ~ price | state` and `| state + year`, R = 2. The reference is an independent solution, held against
InteractiveFixedEffectModels.jl (0.0132871 and, with Stata regife's degrees of freedom, 0.0141163), a MATLAB
implementation of Bai (2009) run in Octave (heteroskedastic errors 0.0258194 and 0.0470818, corrected slopes −0.4447189
and −0.5288860), and R's InteractiveEffects.""",
        standard_errors,
    ),
]
UNMET = [
    Section(
        "phtt stops early",
        "Growth rates at R = 5: phtt 3.1.2 iterates to 1e-6 and prints these; PanelIFE at 1e-10 has our digits.",
        not_phtt,
    ),
    Section(
        "xtife leaves out the loadings",
        """\
The covariance of Bai (2009) and Moon & Weidner (2017) takes out of the regressors what the factors explain and what the
loadings explain. xtife 0.1.5 takes out the factors alone: its robust errors are too small, and its bias correction is
another. The other packages have our numbers (above).""",
        not_xtife,
    ),
]
