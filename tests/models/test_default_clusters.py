"""Clusters that are not named: the entity, whatever the order of effects; an error with the candidates without one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gifepanel as gife
from gifepanel import PartialledOLS, cli
from gifepanel.exceptions import SpecificationError

CIGAR = gife.datasets.load_cigar()
FLAT = CIGAR.reset_index()
ORDERS = ("sales ~ price | state + year", "sales ~ price | year + state", "sales ~ price | year", "sales ~ price")


@pytest.mark.parametrize("formula", ORDERS)
@pytest.mark.parametrize("kind", ["cluster", "CR0", "CR2", "CR3"])
def test_the_entity_is_the_default(formula: str, kind: str) -> None:
    for data, ids in ((CIGAR, {}), (FLAT, {"entity": "state", "time": "year"})):
        model = PartialledOLS.from_formula(formula, data, **ids)
        named = model.fit(cov_type=kind, cov_kwds={"groups": "state"})
        for res in (model.fit(cov_type=kind), model.fit().get_robustcov_results(kind)):
            assert float(res.bse.price) == float(named.bse.price)
            assert res.cov_kwds["groups"] == ("state",) and "by state (46)" in str(res.summary())


@pytest.mark.parametrize("formula", ORDERS)
def test_without_an_entity_the_candidates_are_named(formula: str) -> None:
    model = PartialledOLS.from_formula(formula, FLAT)
    res = model.fit()
    candidates = [name for name in ("state", "year") if name in formula]
    for call, keyword in (
        (lambda **k: model.fit(cov_type="cluster", **k), "cov_kwds="),
        (lambda **k: res.get_robustcov_results("cluster", **k), "groups="),
        (lambda **k: res.wild_bootstrap("price", n_draws=99, **k), "groups="),
    ):
        with pytest.raises(SpecificationError, match="do not say what the entity is") as caught:
            call()
        assert all(name in str(caught.value.needed) for name in candidates)
        assert str(caught.value.fix).startswith(keyword)
        if candidates:
            call(**eval(f"dict({caught.value.fix})"))  # the line that is proposed


def test_order_of_effects_is_no_matter_of_the_error() -> None:
    fixes = set()
    for formula in ORDERS[:2]:
        with pytest.raises(SpecificationError) as caught:
            PartialledOLS.from_formula(formula, FLAT).fit(cov_type="CR2")
        fixes.add(str(caught.value.fix))
    assert fixes == {'cov_kwds={"groups": "state"}'}


def test_wild_bootstrap() -> None:
    draws = [PartialledOLS.from_formula(f, CIGAR).fit().wild_bootstrap("price", n_draws=99) for f in ORDERS]
    assert {boot.n_groups for boot in draws} == {46}
    by_year = PartialledOLS.from_formula(ORDERS[0], CIGAR).fit(cov_type="cluster", cov_kwds={"groups": "year"})
    assert by_year.wild_bootstrap("price", n_draws=99).n_groups == 30  # those of the covariance come first


def test_nothing_is_clustered_that_was_not_asked_for() -> None:
    for formula in ORDERS:
        res = PartialledOLS.from_formula(formula, CIGAR).fit()
        assert res.cov_type == "nonrobust" and res._covariance.n_groups == ()


def test_arrays_frames_and_learners() -> None:
    from sklearn.linear_model import LinearRegression

    y = CIGAR["sales"].to_numpy().reshape(46, 30)
    x = CIGAR[["price"]].to_numpy().reshape(46, 30, 1)
    for absorb in (("entity", "time"), ("time", "entity"), "time"):
        assert PartialledOLS(y, x, absorb=absorb).fit(cov_type="cluster")._covariance.n_groups == (46,)
    frame = PartialledOLS(CIGAR["sales"], CIGAR[["price"]], absorb="year").fit(cov_type="cluster")
    assert frame._covariance.n_groups == (46,)
    learner: Any = {"partial": "ndi + pop", "learner": LinearRegression()}
    res = PartialledOLS.from_formula("sales ~ price | year", CIGAR, **learner).fit(cov_type="cluster")
    assert res.cov_kwds["groups"] == ("state",) and "clustered by state (46)" in str(res.summary())


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "cigar.csv"
    FLAT.to_csv(path, index=False)
    command = ["fit", ORDERS[1], str(path), "--cov-type", "cluster"]
    assert cli.main(command) == 2
    assert "state or year" in (said := capsys.readouterr().err) and said.strip().endswith("Add --cluster state.")
    assert cli.main([*command, "--cluster", "state"]) == 0
    first = capsys.readouterr().out
    assert cli.main([*command, "--entity", "state", "--time", "year"]) == 0
    assert "clustered by state (46)" in first and "clustered by state (46)" in capsys.readouterr().out


def test_few_clusters_beside_normal_p_values() -> None:
    data = CIGAR.assign(g=np.arange(len(CIGAR)) // 30 % 7)
    model = PartialledOLS.from_formula("sales ~ price | state", data)
    res = model.fit(cov_type="cluster", cov_kwds={"groups": "g"})
    text = " ".join(str(res.summary()).split())
    assert "7 clusters are few" in text and 'cov_type="CR2"' in text and "wild_bootstrap()" in text
    for options in ({"use_t": True}, {"cov_kwds": {"groups": "state"}}):
        assert "are few" not in str(
            model.fit(**{"cov_type": "cluster", "cov_kwds": {"groups": "g"}, **options}).summary()
        )
    assert "are few" not in str(model.fit(cov_type="CR2", cov_kwds={"groups": "g"}).summary())
    factors = gife.InteractiveFE.from_formula("sales ~ 0 + price", data, n_factors=1)
    few = factors.fit(cov_type="cluster", cov_kwds={"groups": "g"})
    assert "7 clusters are few" in str(few.summary()) and "use_t=True" in str(few.summary())
    few.use_t = True
    assert "are few" not in str(few.summary())


def test_lags_beside_effects_of_the_entity() -> None:
    said = {
        formula: "Nickell" in str(PartialledOLS.from_formula(formula, CIGAR).fit().summary())
        for formula in (
            "sales ~ L(sales) + price | state",
            "sales ~ L(sales, 2) + price | year + state",
            "sales ~ L(sales) + C(state)",
            "sales ~ L(sales) + price | year",
            "sales ~ L(price) | state",
        )
    }
    assert list(said.values()) == [True, True, True, False, False]
