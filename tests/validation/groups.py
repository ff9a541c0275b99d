"""C-Lasso: the sample of the R package classo; savings and democracy as Stata's classifylasso has them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

import gifepanel as gife
from gifepanel.exceptions import ConvergenceWarning
from gifepanel.inference.halfpanel import half_panels
from tests.reference import published
from tests.reference.published import BESIDE, ROOT
from tests.validation.record import Number, Section, number, several

# what published codes do: start at zero, no polishing to a stationary point, nearest centre
PUBLISHED = {"start": "zero", "polish": False, "classify": "nearest"}
STOP = {"sweep_tol": 1e-4, "max_sweeps": 20}  # and where they stop
LAGGED = ("lagged savings", "cpi", "interest", "gdp")
SAVINGS, DEMOCRACY = BESIDE / "savings_56x15.csv", BESIDE / "anrr_democracy_98x40.csv"


def stopped_early(model: gife.GroupedIFE, **options: Any) -> Any:
    """The fit of published codes: it need not have converged, and says so."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(metric="relative", **PUBLISHED, **STOP, **options)


# ---- classo -----------------------------------------------------------------------------------------------------


@cache
def classo(metric: str, **stop: Any) -> Any:
    """The sample through arrays of y (200, 25) and x (200, 25, 2), regressors not standardised."""
    table = pd.read_csv(ROOT / "tests/reference/data/classo_sample_200x25.csv")
    y = table["Y"].to_numpy().reshape(200, 25)
    x = table[["X1", "X2"]].to_numpy().reshape(200, 25, 2)
    model = gife.GroupedIFE(y, x, n_groups=3, n_factors=0)
    return model.fit(kappa=0.5 * y.var(ddof=1) / 25 ** (1 / 3), metric=metric, **(PUBLISHED | stop))


def misplaced(groups: Any) -> list[int]:
    labels, blocks = np.asarray(groups), ((0, 60), (60, 120), (120, 200))
    truth = np.concatenate([np.full(b - a, np.bincount(labels[a:b]).argmax()) for a, b in blocks])
    return [int(unit) + 1 for unit in np.flatnonzero(labels != truth)]


def classo_numbers() -> Iterator[Number]:
    res = classo("absolute")
    for k, (theirs, ours) in enumerate(zip(published.CLASSO_SLOPES, res.params_by_group.to_numpy(), strict=True), 1):
        yield from several([f"group {k}, x1", f"group {k}, x2"], theirs, ours)
    for size, ours in zip((60, 61, 79), res.group_sizes, strict=True):
        yield number("size of group", size, ours, tol=0)
    found = misplaced(res.groups)
    yield number("units misplaced", 5, len(found), tol=0)
    for theirs, ours in zip(published.CLASSO_MISPLACED, found, strict=True):
        yield number("misplaced unit", theirs, ours, tol=0)


def relative_sizes() -> Iterator[Number]:
    for what, sizes in (
        ("relative distance, 1e-4 or 20 sweeps", classo("relative", **STOP).group_sizes),
        ("relative distance, converged", classo("relative", sweep_tol=1e-12, max_sweeps=500).group_sizes),
    ):
        for size, ours in zip((59, 61, 80), sorted(sizes), strict=True):
            yield number(f"{what}: size", size, ours, tol=1)


# ---- savings ----------------------------------------------------------------------------------------------------


@cache
def savings() -> pd.DataFrame:
    return pd.read_csv(SAVINGS).set_index(["code", "year"])


def pooled_savings() -> Iterator[Number]:
    model = gife.PartialledOLS.from_formula("savings ~ lagsavings + cpi + interest + gdp | code", savings())
    yield from several(LAGGED, published.POOLED, model.fit().params, tol=1.5e-7)
    yield from several([f"error, {x}" for x in LAGGED], published.POOLED_IID, model.fit().bse)
    robust = model.fit(cov_type="HC1").bse
    yield from several([f"robust error, {x}" for x in LAGGED], published.POOLED_ROBUST, robust)


def static_savings() -> Iterator[Number]:
    model = gife.GroupedIFE.from_formula("savings ~ cpi + interest + gdp | code", savings(), n_groups=2, n_factors=0)
    res = stopped_early(model, kappa=0.2 * 15 ** (-1 / 3))
    for size, ours in zip((34, 22), res.group_sizes, strict=True):
        yield number("size of group", size, ours, tol=0)
    for k, theirs in enumerate(published.STATIC, 1):
        yield from several([f"group {k}, {x}" for x in LAGGED[1:]], theirs, res.params_by_group.loc[k])


@cache
def dynamic_fit() -> Any:
    model = gife.GroupedIFE.from_formula(
        "savings ~ lagsavings + cpi + interest + gdp | code",
        savings(),
        n_groups=2,
        n_factors=0,
        predetermined=["lagsavings"],
    )
    return model.fit(
        kappa=1.5485 * 15 ** (-1 / 3),
        metric="relative",
        sweep_tol=1e-6,
        max_sweeps=200,
        bias_correction="jackknife",
        cov_type="HAC",
        cov_kwds={"maxlags": 1, "kernel": "bartlett"},
        ssc=False,
        groups_known=True,  # as the article's errors take them
        **PUBLISHED,
    )


def within(data: pd.DataFrame, formula: str, **options: Any) -> Any:
    return gife.PartialledOLS.from_formula(formula, data).fit(**options)


def dynamic_savings() -> Iterator[Number]:
    res, data = dynamic_fit(), savings()
    order = res.params_by_group["cpi"].argsort().to_numpy()  # the article's first group has the negative slope of cpi
    year = data.index.get_level_values("year")
    for k, (position, size) in enumerate(zip(order, (31, 25), strict=True)):
        label = res.group_sizes.index[position]
        yield number(f"group {k + 1}: size", size, res.group_sizes.iloc[position], tol=0)
        inside = data.index.get_level_values("code").isin(res.groups.index[res.groups == label])
        formula = "savings ~ lagsavings + cpi + interest + gdp | code"
        first, second = half_panels(15)[0]
        halves = [within(data[inside & np.isin(year - 1, np.arange(15)[h])], formula).params for h in (first, second)]
        ours = 2 * within(data[inside], formula).params - 0.5 * (halves[0] + halves[1])
        names = [f"group {k + 1}, {x}" for x in LAGGED]
        yield from several(names, published.JACKKNIFE[k], ours, tol=1.1e-7)
        errors = res.bse_by_group.loc[label]
        yield from several([f"{name}, error" for name in names], published.HAC[k], errors, tol=1.1e-7)


def both_splits() -> Iterator[Number]:
    res = dynamic_fit()
    order = res.params_by_group["cpi"].argsort().to_numpy()
    for k, position in enumerate(order):
        theirs, ours = published.JACKKNIFE[k], res.params_by_group.iloc[position]
        yield from several([f"group {k + 1}, {x}" for x in LAGGED], theirs, ours, tol=0.35 * max(published.HAC[k]))


# ---- democracy --------------------------------------------------------------------------------------------------


@cache
def democracy() -> pd.DataFrame:
    data = pd.read_csv(DEMOCRACY).astype({"year": int})
    groups = pd.read_csv(BESIDE / "democracy_groups_classifylasso.csv").set_index("country")["group"]
    return data.assign(group=data["country"].map(groups))


def democracy_numbers() -> Iterator[Number]:
    data, formula = democracy(), "lnPGDP ~ Democracy + ly1 | country + year"
    options = {"cov_type": "cluster", "cov_kwds": {"groups": "country"}}
    names = ("democracy", "lagged GDP")
    pooled = within(data, formula, **options)
    yield from several([f"all, {x}" for x in names], published.DEMOCRACY[0], pooled.params, tol=1e-6)
    yield from several([f"all, {x}, error" for x in names], published.DEMOCRACY[1], pooled.bse, tol=1.1e-7)
    for group, (theirs, errors) in published.DEMOCRACY_GROUPS.items():
        own = data[data["group"] == group]
        full = within(own, formula, **options)
        halves = [within(own[part], formula).params for part in (own["year"] <= 1990, own["year"] > 1990)]
        corrected = 2 * full.params - 0.5 * (halves[0] + halves[1])
        yield from several([f"{group}, {x}" for x in names], theirs, corrected, tol=5e-7)
        yield from several([f"{group}, {x}, error" for x in names], errors, full.bse, tol=3e-7)


def democracy_groups() -> Iterator[Number]:
    data = democracy().set_index(["country", "year"])
    model = gife.GroupedIFE.from_formula("lnPGDP ~ Democracy + ly1 | country + year", data, n_groups=2, n_factors=0)
    res = stopped_early(model, kappa=0.2 * 40 ** (-1 / 3))
    theirs = data.groupby("country")["group"].first().loc[res.groups.index] == "G1"
    same = int(((res.groups == 2) == theirs).sum())
    yield number("countries in the same group", 98, max(same, 98 - same), tol=98)


LOG = """\
the log of C. Mendez, [Identifying latent group structures in panel data: the classifylasso command in
Stata](https://carlos-mendez.org/post/stata_panel_lasso_cluster) (2026)"""
SECTIONS = [
    Section(
        "C-Lasso, against the R package classo",
        """\
The package's sample: 200 units, 25 periods, true groups 1–60, 61–120 and 121–200. K = 3, κ = 0.5 var(y) / 25^(1/3),
distances to centres not divided by their norm (`metric="absolute"`), start at zero, nearest centre. The same five units
are in a wrong group.""",
        classo_numbers,
    ),
]
REPLICATIONS = [
    Section(
        "Savings rates, dynamic: Huang, Wang & Zhou (2024)",
        """\
56 countries, 15 periods; data of Su, Shi & Phillips (2016). Table of section 3.4 of *classifylasso*, Stata Journal 24:
173–203: K = 2, λ = 1.5485, relative distances, half-panel jackknife, HAC errors without a small-sample factor. The
article splits the 15 periods once, into 7 and 8; the coefficients here are of that split, with our groups.""",
        dynamic_savings,
        data=SAVINGS,
    ),
    Section(
        "Savings rates, static",
        f"The same data without the lag at classifylasso's defaults (λ = 0.2, relative distances): {LOG}.",
        static_savings,
        data=SAVINGS,
    ),
    Section(
        "Savings rates, one slope for all",
        "`savings ~ lagsavings + cpi + interest + gdp | code` by {py:class}`gifepanel.PartialledOLS`; Stata's "
        "`xtreg, fe` and `reghdfe, vce(robust)` in the same log.",
        pooled_savings,
        data=SAVINGS,
    ),
    Section(
        "Democracy and growth",
        """\
98 countries, 1971–2010 (Acemoglu, Naidu, Restrepo & Robinson, 2019): log GDP per head on democracy and its own lag,
country and year effects, errors clustered by country. Stata's `reghdfe`, and classifylasso's estimates within its two
groups of 57 and 41 countries with the half-panel jackknife, in the same log; the groups are taken from there.""",
        democracy_numbers,
        data=DEMOCRACY,
    ),
]
UNMET = [
    Section(
        "Relative distances on the sample of classo",
        """\
With distances divided by the norm of the centre, published codes print sizes 59, 61 and 80. These are met at their own
stopping rule; at convergence of the same sweep one unit is elsewhere.""",
        relative_sizes,
    ),
    Section(
        "Half-panel jackknife with an odd number of periods",
        """\
`bias_correction="jackknife"` averages both ways of splitting 15 periods (7 and 8, 8 and 7); Stata's classifylasso takes
the first alone. The differences are at most 0.35 standard errors.""",
        both_splits,
        data=SAVINGS,
    ),
    Section(
        "Groups of the democracy data",
        """\
classifylasso's groups could not be reproduced from its printed options: log GDP is in hundreds there, κ is not
scale-free, and it takes year effects out within each group. Given its groups, its estimates are met (above).""",
        democracy_groups,
        data=DEMOCRACY,
    ),
]
