"""What the benchmarks compute with is right, and the scripts run."""

from __future__ import annotations

import importlib
import json
import math
from pathlib import Path

import bench_montecarlo
import bench_scaling
import numpy as np
import pytest
from common import Runner, markdown_table, read_csv
from draws import CELLS, Cell, interacted, match_groups, one_draw, simulate_draw
from panels import formula_and_frame, timing_panel
from tracing import KINDS, STAGES, traced

import gifepanel as gife


def test_best_relabelling_beats_every_other() -> None:
    from itertools import permutations

    rng = np.random.default_rng(0)
    for _ in range(20):
        truth, estimate = rng.integers(1, 5, (2, 30))
        permutation, accuracy = match_groups(truth, estimate, 4)
        shares = [np.mean(np.array(order)[truth - 1] == estimate - 1) for order in permutations(range(4))]
        assert accuracy == pytest.approx(max(shares), abs=1e-12)
        assert np.mean(permutation[truth - 1] == estimate - 1) == pytest.approx(accuracy, abs=1e-12)


def test_a_draw_does_not_depend_on_other_draws() -> None:
    cell = CELLS[0]
    first, second = simulate_draw(cell, 5).y, simulate_draw(cell, 6).y
    assert np.array_equal(simulate_draw(cell, 5).y, first)
    assert not np.isclose(first, second).any()


def test_interacted_regressors_give_the_fitted_values() -> None:
    panel = simulate_draw(Cell("S", 20, 6), 0)
    direct = np.einsum("itj,ij->it", panel.x, panel.truth.alpha[panel.truth.groups - 1])
    np.testing.assert_allclose(interacted(panel) @ panel.truth.alpha.ravel(), direct, atol=1e-12)


def test_processes_draw_what_one_process_draws() -> None:
    tasks = [(Cell("P", 30, 12, r=0), draw) for draw in range(3)]
    alone = sorted(Runner(quiet=True)(one_draw, tasks))
    assert [number for number, _ in alone] == [0, 1, 2]
    assert sorted(Runner(jobs=2, quiet=True)(one_draw, tasks)) == alone


def test_a_stopped_run_keeps_what_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    def task(number: int) -> int:
        if number == 2:
            raise KeyboardInterrupt
        return number

    runner = Runner(quiet=True)
    assert list(runner(task, [(n,) for n in range(5)])) == [(0, 0), (1, 1)]
    assert runner.interrupted
    assert list(runner(task, [(0,)])) == []
    assert "stopped" in capsys.readouterr().err


def test_table_is_markdown() -> None:
    table = markdown_table([{"a": "x", "b": 1.5, "c": True}, {"a": "yy", "b": None}], {"a": "A", "b": "B", "c": "C"})
    assert table.splitlines() == [
        "| A  |   B | C   |",
        "|----|----:|-----|",
        "| x  | 1.5 | yes |",
        "| yy |     |     |",
    ]


def test_kinds_of_work_add_up_and_nothing_stays_wrapped() -> None:
    y, x = timing_panel(30, 20)
    before = {path: _resolve(path) for path in (*KINDS, *STAGES)}
    with traced(KINDS) as clock:
        gife.GroupedIFE(y, x, n_groups=3, n_factors=2).fit()
    assert set(clock.seconds) == set(KINDS.values())
    assert all(spent >= 0 for spent in clock.seconds.values())
    with traced(STAGES, opaque=("audit",)) as clock:
        formula, frame = formula_and_frame(y, x)
        gife.GroupedIFE.from_formula(formula, frame, n_groups=3, n_factors=2).fit()
        gife.GroupedIFE(y, x, n_groups=3, n_factors=2).fit()
    assert set(clock.seconds) == set(STAGES.values())
    assert {path: _resolve(path) for path in before} == before


def _resolve(path: str) -> object:
    module, name = path.split(":")
    owner = importlib.import_module(module)
    return vars(getattr(owner, name.split(".")[0])).get(name.split(".")[1]) if "." in name else getattr(owner, name)


def test_exponents_of_growth() -> None:
    rows = [{"varied": "n", "value": v, "solver": 3.0 * v, "arrays": 2.0 * v**2} for v in (10, 20, 40)]
    (row,) = bench_scaling.elasticities(rows)
    assert (row["solver"], row["arrays"], row["solver_end"]) == (1.0, 2.0, 1.0)


def test_timing_panel_has_the_slopes_it_says() -> None:
    y, x = timing_panel(60, 40, p=3, k=2, r=1)
    res = gife.GroupedIFE(y, x, n_groups=2, n_factors=1).fit()
    assert res.group_sizes.tolist() == [30, 30]
    np.testing.assert_allclose(res.params_by_group, [[0.7, 1.3, 0.7], [1.3, 0.7, 1.3]], atol=0.1)


def test_means_and_missed_minima() -> None:
    common = {"design": "S", "n": 100, "t": 25, "correction": "none", "kappa_scale": 1.0, "converged": 1}
    scores = {"rmse_unit": 0.3, "cover": 1.0, "cover_hc1": 0.5}
    rows = [
        {**common, **scores, "fit": "refined", "draw": 0, "ssr": 10.0, "accuracy": 0.9, "rmse_coef": 3.0},
        {**common, **scores, "fit": "refined", "draw": 1, "ssr": 12.0, "accuracy": 1.0, "rmse_coef": 4.0},
        {**common, **scores, "fit": "oracle", "draw": 0, "ssr": 11.0, "accuracy": 1.0, "rmse_coef": 1.0, "bound": 1.0},
        {**common, **scores, "fit": "oracle", "draw": 1, "ssr": 11.0, "accuracy": 1.0, "rmse_coef": 1.0, "bound": 0.8},
    ]
    refined, oracle = bench_montecarlo.summarize(rows)
    assert refined["accuracy"] == pytest.approx(0.95)
    assert refined["accuracy_se"] == pytest.approx(0.05)
    assert refined["rmse_coef"] == pytest.approx(math.sqrt(12.5))
    assert refined["missed"] == 0.5
    assert oracle["bound"] == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("name", "ours", "figure", "se", "expected"),
    [
        ("accuracy", 0.96, 0.95, 0.002, "better"),
        ("accuracy", 0.96, 0.95, 0.02, "level"),
        ("cover", 0.99, 0.94, 0.005, "short"),
        ("rmse_coef", 0.02, 0.03, 0.001, "better"),
        ("lag_bias", -0.01, 0.001, 0.001, "short"),
    ],
)
def test_verdict(name: str, ours: float, figure: float, se: float, expected: str) -> None:
    assert bench_montecarlo.verdict(name, ours, figure, se) == expected


def test_nobody_is_asked_to_beat_the_oracle() -> None:
    assert bench_montecarlo.verdict("lag_bias", -0.01, 0.0, 0.002, -0.009, 0.001) == "short, as the oracle"
    assert bench_montecarlo.verdict("lag_bias", -0.01, 0.0, 0.002, -0.002, 0.001) == "short"


def test_peers_criterion_is_ours() -> None:
    pytest.importorskip("groupedpaneldatamodels")
    from bench_peer import criterion, panel

    data = panel(20, 15, 0)
    fit = gife.GroupedIFE(data.y, data.x, n_groups=3, n_factors=2).fit(kappa=0.3)
    estimates = fit.penalized
    slopes, centers = estimates.unit_params.to_numpy(), estimates.centers.to_numpy()
    assert criterion(data.y, data.x, slopes, centers, 0.3, 2) == pytest.approx(fit.criterion, rel=1e-9)
    # and the definition by factors: residuals off the two leading components
    resid = data.y - np.einsum("itj,ij->it", data.x, slopes)
    values = np.linalg.svd(resid, compute_uv=False)
    penalty = np.mean([math.prod(math.dist(b, a) for a in centers) for b in slopes])
    direct = (values[2:] ** 2).sum() / resid.size + 0.3 * penalty
    assert criterion(data.y, data.x, slopes, centers, 0.3, 2) == pytest.approx(direct, rel=1e-10)


def test_a_small_run_writes_its_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bench_montecarlo.main(["--quick", "--draws", "2", "--designs", "P", "--quiet", "--output", str(tmp_path)])
    assert "P 100x15" in capsys.readouterr().out
    assert json.loads((tmp_path / "montecarlo.json").read_text())["complete"] is False
    rows = read_csv(tmp_path / "montecarlo_draws.csv")
    assert len(rows) == 4 * 2 * 4
    assert "accuracy" in (tmp_path / "montecarlo.md").read_text()
