"""Bootstrap of slopes and groups: against fits to copies, counts, streams, checkpoints, refusals."""

from __future__ import annotations

import html
import pickle
import warnings
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest

import gifepanel as gife
from gifepanel.datasets import simulate
from gifepanel.exceptions import DataError, SpecificationError
from gifepanel.models.cell_estimation import cells_of_model
from gifepanel.parallel import spawn_seeds
from gifepanel.solvers.cells import canonical_units

N, T = 24, 12
PANEL = simulate("S", N, T, random_state=3)
FORMULA = "y ~ 0 + x1 + x2"


def grouped(data: pd.DataFrame, formula: str = FORMULA, **options: Any) -> Any:
    return gife.GroupedIFE.from_formula(formula, data, **{"n_groups": 3, "n_factors": 1, **options})


def interactive(data: pd.DataFrame, formula: str = FORMULA, **options: Any) -> Any:
    return gife.InteractiveFE.from_formula(formula, data, n_factors=2, **options)


def holed(data: pd.DataFrame) -> pd.DataFrame:
    return data[np.random.default_rng(0).random(len(data)) > 0.15]


@pytest.fixture(scope="module")
def res() -> Any:
    return grouped(PANEL.data).fit()


@pytest.fixture(scope="module")
def boot(res: Any) -> Any:
    return res.bootstrap(40)


def copies_of(res: Any, draw: int) -> np.ndarray:
    """How often each entity is in a draw, in the order of the data."""
    units = canonical_units(cells_of_model(res.model))
    drawn = np.random.default_rng(spawn_seeds(0, draw + 1)[draw]).integers(0, len(units), size=len(units))
    out = np.zeros(len(units), dtype=int)
    np.add.at(out, units[drawn], 1)
    return out


# ---- draws against fits of other panels


@pytest.mark.parametrize("case", ["plain", "effects", "holes", "weights", "trends"])
def test_a_draw_of_entities_is_the_fit_to_their_copies(case: str) -> None:
    formula = {"effects": f"{FORMULA} | entity + time", "trends": f"{FORMULA} | entity + entity[t]"}.get(case, FORMULA)
    data = PANEL.data.assign(t=PANEL.data.index.get_level_values("time").astype(float))
    data["w"] = np.random.default_rng(1).uniform(0.5, 2, len(data))
    data = holed(data) if case == "holes" else data
    options = {"weights": "w"} if case == "weights" else {}
    res = interactive(data, formula, **options).fit()
    boot = res.bootstrap(3)
    assert boot.n_used == 3
    for draw in range(3):
        copies, parts = copies_of(res, draw), []
        assert copies.sum() == N
        for entity, count in zip(res._results._entities, copies, strict=True):
            own = data.xs(entity, level="entity", drop_level=False).reset_index()
            parts += [own.assign(entity=f"{entity} {copy}") for copy in range(count)]
        again = interactive(pd.concat(parts).set_index(["entity", "time"]), formula, **options).fit()
        np.testing.assert_allclose(boot.draws.iloc[draw], again.params, rtol=2e-6)


@pytest.mark.parametrize("case", ["cell", "entity", "region", "time", "HAC"])
def test_a_wild_draw_is_the_fit_to_other_signs(case: str) -> None:
    data = PANEL.data.assign(region=[str(int(name) % 7) for name in PANEL.data.index.get_level_values("entity")])
    groups = {"entity": "entity", "region": "region", "time": "time"}.get(case)
    errors = {"cell": ("HC1", None), "HAC": ("HAC", None)}.get(case, ("cluster", {"groups": groups}))
    res = interactive(data).fit(cov_type=errors[0], cov_kwds=errors[1])
    boot = res.bootstrap(2, "wild")
    assert boot.by == {"HAC": "entity"}.get(case, case)
    frame = data.assign(fitted=res.fittedvalues, resid=res.resid, cell=np.arange(len(data)))
    frame = frame.reset_index()
    units = res._results._entities[canonical_units(cells_of_model(res.model))]
    frame = frame.set_index("entity").loc[units].reset_index()  # clusters are numbered as they come in this order
    codes = pd.factorize(frame[boot.by])[0]
    scale = np.sqrt(res.nobs / res.df_resid)
    for draw, seed in enumerate(spawn_seeds(0, 2)):
        signs = np.random.default_rng(seed).integers(0, 2, size=codes.max() + 1) * 2.0 - 1.0
        frame["y"] = frame["fitted"] + signs[codes] * scale * frame["resid"]
        again = interactive(frame.set_index(["entity", "time"])).fit()
        np.testing.assert_allclose(boot.draws.iloc[draw], again.params, rtol=2e-6)


def test_in_a_draw_no_entity_fits_better_elsewhere(res: Any, boot: Any) -> None:
    """Slopes of a draw and its factors by brute force: least squares, and every entity where it fits best."""
    for draw in (0, 1):
        copies, groups = copies_of(res, draw), boot._drawn_groups[draw]
        assert ((groups >= 0) == (copies > 0)).all()
        some = copies > 0
        estimate, alpha = res._results._estimate, boot.draws.iloc[draw].to_numpy().reshape(3, 2)
        y, x, w = estimate.y[some], estimate.x[some], copies[some]
        resid = y - np.einsum("ntp,np->nt", x, alpha[groups[some]])
        factor = np.linalg.svd(np.sqrt(w)[:, None] * resid)[2][:1]
        losses = []
        for k in range(3):
            left = y - x @ alpha[k]
            losses.append(np.square(left - left @ factor.T @ factor).sum(axis=1))
        np.testing.assert_array_equal(np.argmin(losses, axis=0), groups[some])
        left = (resid - resid @ factor.T @ factor) * w[:, None]
        for k in range(3):
            members = groups[some] == k
            score = np.einsum("ntp,nt->p", x[members], left[members])
            assert np.abs(score).max() < 1e-4 * np.abs(x).max() * np.abs(left).sum()


# ---- what is made of them


def test_the_numbers_are_those_of_the_draws(res: Any, boot: Any) -> None:
    values = boot.draws.to_numpy()
    np.testing.assert_allclose(boot.bse, values.std(axis=0, ddof=1))
    np.testing.assert_allclose(boot.bias, values.mean(axis=0) - res.params)
    np.testing.assert_allclose(boot.conf_int(0.9)["lower"], np.quantile(values, 0.05, axis=0))
    normal = boot.conf_int(0.95, method="normal")
    np.testing.assert_allclose(normal["upper"] - res.params, 1.959963984540054 * boot.bse)
    assert (boot.pvalues > 0).all() and boot.pvalues.max() <= 1
    assert boot.pvalues.min() == 2 / (boot.n_used + 1)  # all draws on one side
    assert boot.n == 40 == boot.n_used + boot.n_lost + boot.n_not_converged
    np.testing.assert_array_equal(np.diag(boot.comembership), 1.0)
    np.testing.assert_array_equal(boot.comembership, boot.comembership.T)
    own = boot._drawn_groups == boot.groups.to_numpy() - 1
    np.testing.assert_allclose(boot.stability, own.sum(axis=0) / (boot._drawn_groups >= 0).sum(axis=0))
    assert list(boot.stability.index) == list(res.groups.index)
    with pytest.raises(AttributeError):
        boot.n = 3


def test_reports(boot: Any) -> None:
    text = boot.summary(0.9, "normal").as_text()
    assert max(map(len, text.splitlines())) <= 78
    for words in ("Bootstrap of Entities", "90%, normal", "repeats the bias", "draws are few", "least stable first"):
        assert words in " ".join(text.split()), words
    assert "Used:" in str(boot) and "<table" in boot._repr_html_() and "toprule" in boot.as_latex()
    assert "x1[1]" in html.unescape(boot.as_html())
    from gifepanel.results.bootstrap_test import BootstrapTest
    from gifepanel.tables.bootstrap import small_probability

    assert [small_probability(p) for p in (0.0002, 0.0005, 0.2)] == ["<0.001", "0.001", "0.200"]
    test = BootstrapTest("Name", 9.0, 1 / 5000, None, "4,999 draws", "one slope", draws=np.zeros(4999))
    assert "<0.001" in str(test) and "0.000\n" not in str(test)


def test_pictures(boot: Any) -> None:
    import matplotlib.pyplot as plt

    ax = boot.plot()
    image = ax.images[0].get_array()
    groups = boot.groups.to_numpy()
    order = np.lexsort([-boot.stability.to_numpy(), groups])
    np.testing.assert_array_equal(image, boot.comembership.to_numpy()[np.ix_(order, order)])
    assert len(ax.patches) == 3 and len(ax.get_yticks()) == N
    assert len(boot.plot(labels=5).get_yticks()) == 5
    plt.close("all")


# ---- streams, workers, order, checkpoints


def same(one: Any, two: Any) -> None:
    pd.testing.assert_frame_equal(one.draws, two.draws, check_exact=True)
    np.testing.assert_array_equal(one._drawn_groups, two._drawn_groups)
    assert one.n == two.n and one.n_lost == two.n_lost


def test_workers_and_numbers_of_draws_change_nothing(res: Any, boot: Any) -> None:
    with joblib.parallel_config(backend="threading", n_jobs=2):
        same(res.bootstrap(40), boot)
    assert pickle.loads(pickle.dumps(res.model._refits()._problem(res._results._estimate)[1])).size == N * T
    np.testing.assert_array_equal(res.bootstrap(7).draws, boot.draws.loc[:6])
    assert not np.array_equal(res.bootstrap(7, random_state=1).draws, boot.draws.loc[:6])


def test_the_order_of_rows_changes_nothing(boot: Any) -> None:
    rows = PANEL.data.sample(frac=1, random_state=0)
    names = {name: f"{number:03d}" for number, name in enumerate(rows.index.get_level_values("entity").unique())}
    renamed = rows.rename(index=names, level="entity").sort_index()
    other = grouped(renamed).fit()
    for kind in ("entity", "wild"):
        one, two = (one.bootstrap(12, kind) for one in (grouped(PANEL.data).fit(), other))
        np.testing.assert_array_equal(one.draws, two.draws)
        np.testing.assert_array_equal(one.stability, two.stability.loc[[names[name] for name in one.stability.index]])


def test_a_second_call_goes_on(res: Any, boot: Any, tmp_path: Any) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    folder = tmp_path / "draws"
    with pytest.raises(KeyboardInterrupt):
        res.bootstrap(40, checkpoint=folder, progress=stop)
    counts: list[tuple[int, int]] = []
    same(res.bootstrap(40, checkpoint=str(folder), progress=lambda *at: counts.append(at)), boot)
    assert counts == [(40, 40)]
    # the same rows in another order are the same run
    same(grouped(PANEL.data.sample(frac=1, random_state=1)).fit().bootstrap(40, checkpoint=folder), boot)


def test_the_checkpoint_of_another_fit_is_refused(res: Any, tmp_path: Any) -> None:
    folder = tmp_path / "draws"
    res.bootstrap(3, checkpoint=folder)
    other = PANEL.data.copy()
    other.iloc[5, 0] += 1e-6
    for call, what in (
        (lambda: res.bootstrap(3, "wild", checkpoint=folder), "another run: kind differs"),
        (lambda: res.bootstrap(3, random_state=1, checkpoint=folder), "random_state differs"),
        (lambda: grouped(other).fit().bootstrap(3, checkpoint=folder), "data"),
        (lambda: grouped(PANEL.data, n_groups=2).fit().bootstrap(3, checkpoint=folder), "another run: fit differs"),
    ):
        with pytest.raises(SpecificationError, match=what):
            call()
    for seed in (None, np.random.default_rng(0)):
        with pytest.raises(SpecificationError, match="there is a checkpoint"):
            res.bootstrap(3, random_state=seed, checkpoint=folder)


# ---- other fits


def test_draws_of_corrected_slopes_are_shifted_by_the_correction() -> None:
    model = interactive(PANEL.data)
    plain, corrected = model.fit(), model.fit(bias_correction=True)
    shift = corrected.params - plain.params
    assert np.abs(shift).min() > 0
    np.testing.assert_allclose(corrected.bootstrap(4).draws, plain.bootstrap(4).draws + shift, rtol=1e-12)
    assert "in all draws" in " ".join(corrected.bootstrap(4).as_text().split())


def test_lost_groups_are_counted() -> None:
    """A group of two entities: in 11 % of the draws neither is there, and in others nobody wants to be in it."""
    data = PANEL.data.copy()
    odd = data.index.get_level_values("entity").isin(data.index.get_level_values("entity").unique()[:2])
    data["y"] = np.where(odd, 9.0 * data["x1"] - 9.0 * data["x2"], data["y"]) + 0.01 * data["x1"].to_numpy()[::-1]
    res = grouped(data, n_groups=2).fit()
    assert 2 in res.group_sizes.tolist()
    boot = res.bootstrap(40)
    assert boot.n_lost > 0 and boot.n_used + boot.n_lost + boot.n_not_converged == 40
    assert not boot.draws.isna().any().any() and len(boot.draws) == boot.n_used
    assert f"{boot.n_lost} lost a group" in " ".join(boot.as_text().split())
    assert list(boot.draws.index) != list(range(boot.n_used))  # numbers of draws, those left out missing


def test_too_few_draws_that_can_be_used(res: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from gifepanel.models import refits

    monkeypatch.setattr(refits, "entity_draws", _all_lost)
    with pytest.raises(SpecificationError, match="0 of 3 draws can be used: 3 lost a group") as error:
        res.bootstrap(3)
    assert error.value.fix == "n_groups=2"


def _all_lost(seeds: Any, cells: Any, solution: Any) -> Any:
    b = len(seeds)
    nothing = np.full((b, solution.theta.size), np.nan)
    return nothing, np.full((b, cells.shape[0]), -1, dtype=np.int16), np.full(b, 2, dtype=np.int8)


def test_holes_common_slopes_and_pickles() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        res = grouped(holed(PANEL.data), "y ~ x1 + x2 | entity", common="x2").fit(cov_type="cluster")
        other = pickle.loads(pickle.dumps(res))
    for kind in ("entity", "wild"):
        boot = res.bootstrap(5, kind)
        assert list(boot.draws.columns) == list(res.params.index) and boot.draws.notna().all().all()
        same(boot, other.bootstrap(5, kind))
        assert pickle.loads(pickle.dumps(boot)).stability.equals(boot.stability)


# ---- refusals


def test_bad_input(res: Any, tmp_path: Any) -> None:
    for call, what, fix in (
        (lambda: res.bootstrap(0), "n is 0", "n=999"),
        (lambda: res.bootstrap(1), "n is 1", "n=999"),
        (lambda: res.bootstrap("99"), "n is '99'", "n=99"),
        (lambda: res.bootstrap(99.0), "n is 99.0", "n=99"),
        (lambda: res.bootstrap(9, "entities"), "kind is 'entities'", "kind='entity'"),
        (lambda: res.bootstrap(9, "Wild"), "kind is 'Wild'", "kind='wild'"),
        (lambda: res.bootstrap(9, kind=None), "kind is None", "kind='entity'"),
        (lambda: res.bootstrap(9, random_state=-1), "random_state is -1", "random_state=0"),
        (lambda: res.bootstrap(9, checkpoint=3), "checkpoint is 3", 'checkpoint="draws"'),
    ):
        with pytest.raises(SpecificationError, match=what) as error:
            call()
        assert error.value.fix == fix


def test_intervals_refuse_what_is_none(boot: Any) -> None:
    for level in (0, 1, 95, -0.1, True, "a", np.nan):
        with pytest.raises(SpecificationError, match="level is") as error:
            boot.conf_int(level)
        assert boot.conf_int(**eval(f"dict({error.value.fix})")).notna().all().all()
    with pytest.raises(SpecificationError, match="method is 'bca'"):
        boot.conf_int(method="bca")


def test_fits_that_have_no_bootstrap(res: Any) -> None:
    soft = grouped(PANEL.data).fit(groups="soft")
    with pytest.raises(SpecificationError, match="soft groups"):
        soft.bootstrap(9)
    data = PANEL.data.assign(region=[int(name) % 5 for name in PANEL.data.index.get_level_values("entity")])
    two = interactive(data).fit(cov_type="cluster", cov_kwds={"groups": ["region", "time"]})
    with pytest.raises(SpecificationError, match="clustered by region and time") as error:
        two.bootstrap(9, "wild")
    assert eval(error.value.fix.replace('"wild"', '"wild", n=3'), {"res": two}).by == "entity"
    assert two.bootstrap(3).n_used == 3
    with pytest.raises(SpecificationError, match="one group"):
        two.bootstrap(3).plot()
    gone = interactive(data).fit()
    gone.remove_data()
    with pytest.raises(DataError, match="remove_data"):
        gone.bootstrap(9)
