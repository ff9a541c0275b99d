"""Joint tests: free of units, of the order and the spelling of restrictions; refused where there is none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy import stats
from sklearn.linear_model import LinearRegression

from gifepanel import GroupedIFE, InteractiveFE, PartialledOLS
from gifepanel.exceptions import SpecificationError, SpecificationWarning
from gifepanel.inference import cluster_adjusted
from gifepanel.inference.wald import independent_rows, wald
from gifepanel.projections.triangle import orthogonal_triangle
from gifepanel.results.joint_tests import _hotelling

NAMES = ("x", "z", "v")


def panel(seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    n, t = 24, 12
    data = pd.DataFrame({"i": np.repeat(np.arange(n), t), "t": np.tile(np.arange(t), n)})
    for name in NAMES:
        data[name] = rng.normal(size=n * t) + 0.3 * rng.normal(size=n)[data["i"]]
    data["c"], data["w"] = rng.normal(size=n * t), rng.uniform(0.5, 2, size=n * t)
    data["few"], data["block"], data["half"] = data["i"] % 3, data["i"] % 8, data["i"] % 4 // 2
    data["y"] = 0.3 * data["x"] + 0.2 * data["z"] + rng.normal(size=n * t) + rng.normal(size=n)[data["block"]]
    return data


LINEAR = {
    "nonrobust": {},
    "HC3": {},
    "cluster": {"groups": "block"},
    "two ways": {"groups": ["i", "t"]},
    "CR2": {"groups": "block"},
    "CR3": {"groups": "block"},
    "hac-panel": {"groups": "i", "time": "t"},
    "driscoll-kraay": {"time": "t"},
}
FACTOR = ("nonrobust", "HC1", "HAC", "cluster", "driscoll-kraay")
R = np.array([[1.0, 0, 0], [0, 1.0, -1.0]])
MIX = np.array([[2.0, -1.0], [1e-3, 5.0]])


def fits(kind: str, data: pd.DataFrame) -> list[Any]:
    right = " + ".join(NAMES)
    if kind == "linear":
        model = PartialledOLS.from_formula(f"y ~ {right} | i + t", data, weights="w")
        return [
            model.fit(cov_type="cluster" if name == "two ways" else name, cov_kwds=kwds)
            for name, kwds in LINEAR.items()
        ]
    if kind == "learner":
        return [PartialledOLS.from_formula(f"y ~ {right} | i", data, partial="c", learner=LinearRegression()).fit()]
    if kind == "groups":
        known = {"n_groups": 2, "n_factors": 1, "common": ["v"], "entity": "i", "time": "t"}
        res = GroupedIFE.from_formula(f"y ~ 0 + {right}", data, **known).fit(n_starts=1)
    else:
        res = InteractiveFE.from_formula(f"y ~ {right} | i", data, entity="i", time="t", n_factors=1).fit(tol=1e-12)
    return [res.get_robustcov_results(name) for name in FACTOR]


@pytest.fixture(scope="module")
def plain() -> dict[str, list[Any]]:
    return {kind: fits(kind, panel()) for kind in ("linear", "learner", "factors")}


@pytest.mark.parametrize("scale", [1e-12, 1e12])
@pytest.mark.parametrize("kind", ["linear", "learner", "factors"])
def test_units_do_not_matter(plain: dict[str, list[Any]], kind: str, scale: float) -> None:
    for res, want in zip(fits(kind, panel().assign(x=lambda d: d["x"] * scale)), plain[kind], strict=True):
        assert_allclose(res.fvalue, want.fvalue, rtol=1e-7)
        assert_allclose(res.f_pvalue, want.f_pvalue, rtol=1e-6)
        for text in ("x = z = v = 0", "x = z = 0", "z = v"):
            for use_f in (True, False):
                a, b = (r.wald_test(text, use_f=use_f) for r in (res, want))
                assert_allclose([a.statistic, a.pvalue], [b.statistic, b.pvalue], rtol=1e-6)
        assert_allclose(res.wald_test_terms().statistic, want.wald_test_terms().statistic, rtol=1e-7)
        small, large = res.f_test(f"x = {0.1 / scale!r}, z = 0"), want.f_test("x = 0.1, z = 0")
        assert_allclose(small.fvalue, large.fvalue, rtol=1e-7)
        cov = np.asarray(want.cov_params())
        unit = np.diag([1 / scale, 1.0, 1.0])
        assert_allclose(
            res.f_test("x = z = 0", cov_p=unit @ cov @ unit).fvalue,
            want.f_test("x = z = 0", cov_p=cov).fvalue,
            rtol=1e-7,
        )


@pytest.mark.parametrize("kind", ["linear", "learner", "factors"])
def test_one_hypothesis_is_one_number(plain: dict[str, list[Any]], kind: str) -> None:
    q = np.array([0.1, -0.2])
    for res in plain[kind]:
        want = res.f_test((R, q))
        cov, gap = np.asarray(res.cov_params()), R @ np.asarray(res.params) - q
        statistic = gap @ np.linalg.solve(R @ cov @ R.T, gap)
        assert_allclose(res.wald_test((R, q), use_f=False).statistic, statistic, rtol=1e-9)
        if res.cov_type != "CR2":
            assert_allclose(want.fvalue, statistic / 2, rtol=1e-9)
        for turn in (MIX, MIX[::-1], np.eye(2)[::-1], -1e6 * np.eye(2)):
            other = res.f_test((turn @ R, turn @ q))
            assert_allclose([other.fvalue, other.df_denom], [want.fvalue, want.df_denom], rtol=1e-7)
            assert_allclose(other.pvalue, want.pvalue, rtol=1e-6)
        again = np.vstack([R, R[0] + 3 * R[1]])
        with pytest.warns(SpecificationWarning, match="Of 3 restrictions 1 follow from the others: number 3"):
            other = res.f_test((again, [*q, q[0] + 3 * q[1]]))
        assert_allclose([other.fvalue, other.df_num], [want.fvalue, 2], rtol=1e-7)
        with pytest.raises(SpecificationError, match="Restriction 3 contradicts the others"):
            res.f_test((again, [*q, 1.0]))
        with pytest.raises(SpecificationError, match="0 = 0"):
            res.f_test(np.zeros((1, 3)))


def test_which_restrictions_follow_from_others() -> None:
    """Whatever the units of the regressors; rounding in the numbers of a restriction is not one more of them."""
    a = np.array([[1.0, -1, 0], [0, 1, 0], [1 / 3, 1 / 7, 0], [0, 0, 1]])
    rng = np.random.default_rng(0)
    mixed = rng.normal(size=(3, 2)) @ np.array([[1.0, 0, 2], [0, 1e-3, 1]])
    for unit in (1e-14, 1e-6, 1.0, 1e14):
        lengths = np.array([unit, 1.0, 3.0])
        made = independent_rows(a, np.array([0, 0.3, (0.3 / 3 + 0.3 / 7), 1.0]), lengths)
        assert (made.redundant, made.contradictory) == ((2,), ())
        np.testing.assert_allclose(made.matrix @ np.array([0.3, 0.3, 1.0]), made.values, rtol=1e-14)
        assert independent_rows(a, np.array([0, 0.3, 0.2, 1.0]), lengths).contradictory == (2,)
        assert independent_rows(mixed, mixed @ [1.0, 2, 3], lengths).redundant == (2,)
        dust = np.array([[1.0, 0, 0], [0.5, 1e-17, 0]])
        assert independent_rows(dust, np.zeros(2), np.ones(3)).redundant == (1,)
        assert independent_rows(mixed, mixed @ [1.0, 2, 3] + [0, 0, 1e-6], lengths).contradictory == (2,)


def test_coefficients_of_groups() -> None:
    res, other = (fits("groups", panel().assign(x=lambda d, s=s: d["x"] * s))[3] for s in (1.0, 1e8))
    assert_allclose(other.fvalue, res.fvalue, rtol=1e-6)
    with pytest.warns(SpecificationWarning, match="as if the groups had been given"):
        assert_allclose(other.f_test("x[1] = x[2]").fvalue, res.f_test("x[1] = x[2]").fvalue, rtol=1e-6)


# ---- more restrictions than the covariance has rank


def test_more_restrictions_than_rank_are_refused_everywhere() -> None:
    data = panel()
    with pytest.warns(SpecificationWarning):
        one = PartialledOLS.from_formula("y ~ x + z + v | i", data).fit(cov_type="cluster", cov_kwds={"groups": "few"})
    linear = PartialledOLS.from_formula("y ~ x + z + v | i", data)
    nested = linear.fit(cov_type="cluster", cov_kwds={"groups": ["i", "few"]})
    factors = InteractiveFE.from_formula("y ~ x + z + v | i", data, entity="i", time="t", n_factors=1)
    few = factors.fit(cov_type="cluster", cov_kwds={"groups": "few"})
    both = factors.fit(cov_type="cluster", cov_kwds={"groups": ["i", "few"]})
    for res in (one, nested, few, both):
        rank = 3 if res in (few, both) else 2  # biased scores of factor models need not sum to zero
        assert np.isfinite(res.f_test("x = z = 0").fvalue)
        assert np.isfinite(res.wald_test_terms().statistic).all()
        if rank == 2:
            assert np.isnan(res.fvalue)
        spellings = (np.eye(3), np.eye(3)[::-1], np.array([[1.0, 1, 0], [0, 1, 1], [1, 0, 0]]))
        outcome = []
        for matrix in spellings:
            try:
                outcome.append(float(res.f_test(matrix).fvalue))
            except SpecificationError as error:
                assert "allows 2 at most" in str(error)
                outcome.append(np.nan)
        assert_allclose(outcome, outcome[0], rtol=1e-6)
        if rank == 2:
            assert np.isnan(outcome[0])


def test_few_periods_and_indefinite_kernels() -> None:
    data = panel().query("t < 3")
    with pytest.warns(SpecificationWarning, match="3 periods"):
        res = PartialledOLS.from_formula("y ~ x + z + v | i", data).fit(
            cov_type="driscoll-kraay", cov_kwds={"time": "t"}
        )
    with pytest.raises(SpecificationError, match="allows 2 at most"):
        res.f_test("x = z = v = 0")
    with pytest.raises(SpecificationError, match="allows 2 at most"):
        res.wald_test(np.eye(3)[::-1], use_f=False)
    triangle, _ = orthogonal_triangle(panel()[list(NAMES)].to_numpy() * [1e8, 1.0, 1e-8])
    for turn in (np.eye(3), np.eye(3)[::-1], np.array([[1.0, 2, 0], [0, 1, 1], [0, 0, 1]])):
        hypothesis = independent_rows(turn, np.zeros(3), triangle.lengths)
        found = wald(hypothesis, np.ones(3), triangle, np.diag([1.0, 1.0, -0.1]))
        assert np.isnan(found.statistic)
        assert found.indefinite


# ---- CR2: the hypothesis has its own degrees of freedom


def dense_degrees(x: np.ndarray, codes: np.ndarray, rows: np.ndarray) -> float:
    """r (r + 1) over the variances of the elements of the covariance, as quadratic forms of n normal errors."""
    n = len(x)
    inverse = np.linalg.inv(x.T @ x)
    annihilator = np.eye(n) - x @ inverse @ x.T
    parts = np.zeros((codes.max() + 1, n, len(rows)))
    for g in range(codes.max() + 1):
        mine = np.flatnonzero(codes == g)
        values, vectors = np.linalg.eigh(annihilator[np.ix_(mine, mine)])
        half = (vectors * np.where(values > 1e-9, np.maximum(values, 1e-9) ** -0.5, 0.0)) @ vectors.T
        parts[g] = annihilator[:, mine] @ half @ x[mine] @ inverse @ rows.T
    mean = np.einsum("gns,gnt->st", parts, parts)
    values, vectors = np.linalg.eigh(mean)
    parts = parts @ (vectors * values**-0.5) @ vectors.T  # symmetric root, as in the paper
    total = 0.0
    for s in range(len(rows)):
        for t in range(len(rows)):
            form = parts[:, :, s].T @ parts[:, :, t]
            form = (form + form.T) / 2
            total += 2 * np.sum(form**2)
    return len(rows) * (len(rows) + 1) / total


@pytest.mark.parametrize("formula", ["y ~ x + z + v | block", "y ~ x + z + v | block + t", "y ~ x + z + v"])
def test_approximate_hotelling_is_that_of_all_dummies(formula: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = panel().query("t < 5")
    model = PartialledOLS.from_formula(formula, data)
    res = model.fit(cov_type="CR2", cov_kwds={"groups": "block"})
    columns = [data[list(NAMES)].to_numpy(), np.ones((len(data), 1))]
    columns += [
        pd.get_dummies(data[c], drop_first=True).to_numpy(float) for c in ("block", "t") if f"{c}" in formula[14:]
    ]
    full, codes = np.hstack(columns), data["block"].to_numpy()
    k = len(res.params)
    for rows in (np.eye(3)[:1], np.eye(3)[:2], np.eye(3), np.array([[1.0, -1, 0], [0, 1, -1]])):
        wide = np.hstack([rows, np.zeros((len(rows), full.shape[1] - 3))])
        eta, q = dense_degrees(full, codes, wide), len(rows)
        order = [res.params.index.get_loc(name) for name in NAMES]
        own = np.zeros((q, k))
        own[:, order] = rows
        test = res.f_test(own)
        statistic = res.wald_test(own, use_f=False).statistic
        assert_allclose([test.df_num, test.df_denom], [q, eta - q + 1], rtol=1e-7)
        assert_allclose(test.fvalue, (eta - q + 1) / eta * statistic / q, rtol=1e-9)
    monkeypatch.setattr(cluster_adjusted, "_KEPT", 0)
    again = model.fit(cov_type="CR2", cov_kwds={"groups": "block"})
    assert again._covariance.contrasts is None
    assert_allclose(again.f_test(own).df_denom, test.df_denom, rtol=1e-9)


def test_one_restriction_is_the_square_of_its_t_test() -> None:
    res = PartialledOLS.from_formula("y ~ x + z + v | t", panel()).fit(cov_type="CR2", cov_kwds={"groups": "block"})
    for text in ("x = 0", "z = 0.3", "x - v = 0.1", "2*x + z = v"):
        f, t, wald = res.f_test(text), res.t_test(text), res.wald_test(text)
        assert_allclose(f.fvalue, np.squeeze(t.tvalue) ** 2, rtol=1e-9)
        assert_allclose([f.pvalue, wald.pvalue], [np.squeeze(t.pvalue)] * 2, rtol=1e-8)
    terms = res.wald_test_terms().table
    assert_allclose(terms["pvalue"].astype(float), res.pvalues, rtol=1e-8)
    assert_allclose(res.f_pvalue, res.f_test("x = z = v = 0").pvalue)
    before = res.f_test("x = z = 0").pvalue, res.t_test("x - z = 0").pvalue
    res.remove_data()
    assert_allclose([res.f_test("x = z = 0").pvalue, np.squeeze(res.t_test("x - z = 0").pvalue)], np.hstack(before))
    with pytest.raises(SpecificationError, match=r"3 restrictions .* with 1\.90 degrees of freedom"):
        _hotelling(1.9, 3)


@pytest.mark.slow
def test_size_of_the_approximate_hotelling_test() -> None:
    """Ten clusters, a regressor that few of them have: the plain F rejects far too often, this one does not."""
    rng = np.random.default_rng(5)
    codes, n = np.repeat(np.arange(10), 8), 80
    x = np.column_stack([rng.normal(size=n), codes < 3, rng.normal(size=n) * (codes % 3)]).astype(float)
    data = pd.DataFrame(x, columns=list(NAMES)).assign(g=codes)
    adjusted = plain = 0
    for _ in range(600):
        data["y"] = rng.normal(size=n) + 0.7 * rng.normal(size=10)[codes]
        model = PartialledOLS.from_formula("y ~ x + z + v", data)
        adjusted += model.fit(cov_type="CR2", cov_kwds={"groups": "g"}).f_pvalue < 0.05
        res = model.fit(cov_type="cluster", cov_kwds={"groups": "g"})
        plain += stats.f.sf(res.fvalue, 3, 9) < 0.05
    assert adjusted / 600 < 0.07
    assert plain / 600 > 0.12
