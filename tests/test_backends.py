"""The engines of joblib under long runs: the same bits on each, and workers that are killed."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import joblib
import numpy as np
import pytest

import gifepanel as gife
from gifepanel import parallel
from gifepanel.checkpoint import Checkpoint
from gifepanel.parallel import run_tasks, spawn_seeds
from gifepanel.solvers import grouped

ABOUT = {"what": "numbers"}
# sockets of a scheduler and its workers that are left to be collected
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")


def drawn(seed, size):
    return np.random.default_rng(seed).standard_normal((size, 40)).T @ np.ones((size, 3))


def drawn_but_killed_once(seed, size, number, flag):
    """The process of task 3 dies in the middle of it, the first time."""
    if number == 3 and not Path(flag).exists():
        Path(flag).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return drawn(seed, size)


def always_killed(number):
    if number == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


@pytest.fixture(scope="module")
def cluster():
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0", silence_logs=50
        ) as two,
        distributed.Client(two) as client,
    ):
        yield client


@pytest.fixture(params=["loky", "dask"])
def engine(request):
    if request.param == "dask":
        request.getfixturevalue("cluster")
    return request.param


@pytest.fixture(scope="module")
def fitted():
    panel = gife.datasets.simulate("S", n_entities=24, n_times=14, random_state=2)
    return gife.GroupedIFE.from_formula("y ~ 0 + x1 + x2", panel.data, n_groups=2, n_factors=1).fit()


@pytest.mark.parametrize("name", ["dask", pytest.param("loky", marks=pytest.mark.slow), "threading"])
def test_a_bootstrap_is_the_same_to_the_bit(name, fitted, request):
    if name == "dask":
        request.getfixturevalue("cluster")
    alone = fitted.bootstrap(24, random_state=4)
    with joblib.parallel_config(backend=name, n_jobs=2):
        together = fitted.bootstrap(24, random_state=4)
    np.testing.assert_array_equal(alone.params, together.params)
    np.testing.assert_array_equal(alone.comembership, together.comembership)


def fits():
    """Of one fit: starts with groups, starts without, halves of the periods; with holes, too."""
    data = gife.datasets.simulate("S", n_entities=20, n_times=12, random_state=2).data
    numbers = {"n_groups": 2, "n_factors": 1}
    for rows in (data, data.drop(data.index[[3, 70, 150]])):
        yield (
            gife.GroupedIFE.from_formula("y ~ 0 + x1 + x2", rows, **numbers),
            {"bias_correction": "jackknife", "n_starts": 3},
        )
        yield gife.InteractiveFE.from_formula("y ~ 0 + x1 + x2", rows, n_factors=1), {"n_starts": 4}


@pytest.mark.parametrize("name", [pytest.param("loky", marks=pytest.mark.slow), "threading"])
def test_one_fit_is_the_same_to_the_bit(name, monkeypatch):
    alone = [model.fit(**options) for model, options in fits()]
    several = []
    counted = parallel.run_tasks
    monkeypatch.setattr(parallel, "run_tasks", lambda f, t, **how: several.append(len(t)) or counted(f, t, **how))
    with joblib.parallel_config(backend=name, n_jobs=2):
        together = [model.fit(**options) for model, options in fits()]
    assert len(several) >= 5 and min(several) >= 2
    for one, other in zip(alone, together, strict=True):
        for what in ("params", "bse", "resid"):
            np.testing.assert_array_equal(getattr(one, what), getattr(other, what))
        assert str(one.summary()) == str(other.summary())


def test_parts_of_a_fit_stay_together_where_nothing_is_configured(monkeypatch):
    """Nor inside of a task, whatever the caller's configuration."""
    monkeypatch.setattr(parallel, "run_tasks", lambda *a, **k: pytest.fail("workers"))
    assert parallel.each(divmod, [(7, 2), (9, 4)]) == [(3, 1), (2, 1)]
    with joblib.parallel_config(n_jobs=1):
        assert parallel.each(divmod, [(7, 2), (9, 4)]) == [(3, 1), (2, 1)]
    with joblib.parallel_config(backend="threading", n_jobs=2):
        assert parallel.each(divmod, [(7, 2)]) == [(3, 1)]
        assert parallel._run_one(parallel.each, 0, divmod, [(7, 2), (9, 4)]) == (0, [(3, 1), (2, 1)])


def test_a_worker_that_is_killed_changes_nothing(engine, tmp_path):
    seeds = spawn_seeds(7, 12)
    flag, seen = tmp_path / "killed", []
    with joblib.parallel_config(backend=engine, n_jobs=2):
        together = run_tasks(
            drawn_but_killed_once,
            [(seed, 50, j, str(flag)) for j, seed in enumerate(seeds)],
            progress=lambda *at: seen.append(at),
            checkpoint=Checkpoint(tmp_path / "kept", ABOUT),
        )
    assert flag.exists()
    for one, seed in zip(together, seeds, strict=True):
        np.testing.assert_array_equal(one, drawn(seed, 50))
    assert [done for done, _ in seen] == list(range(1, 13))  # every task counts once


@pytest.mark.slow
def test_ray_is_an_engine_like_others(fitted, tmp_path):
    ray = pytest.importorskip("ray")
    register_ray = pytest.importorskip("ray.util.joblib").register_ray
    here = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, runtime_env={"env_vars": {"PYTHONPATH": here}})
    try:
        register_ray()
        seeds, flag = spawn_seeds(7, 12), tmp_path / "killed"
        alone = fitted.bootstrap(24, random_state=4)
        with joblib.parallel_config(backend="ray", n_jobs=2):
            killed = [(seed, 50, j, str(flag)) for j, seed in enumerate(seeds)]
            for one, seed in zip(run_tasks(drawn_but_killed_once, killed), seeds, strict=True):
                np.testing.assert_array_equal(one, drawn(seed, 50))
            np.testing.assert_array_equal(fitted.bootstrap(24, random_state=4).params, alone.params)
        assert flag.exists()
    finally:
        ray.shutdown()


def test_what_is_done_when_workers_die_for_good_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(parallel, "_LOST", 0)
    kept = Checkpoint(tmp_path / "kept", ABOUT)
    with joblib.parallel_config(backend="loky", n_jobs=2), pytest.raises(Exception, match=r"terminat|killed"):
        run_tasks(always_killed, [(0,), (2,), (1,)], checkpoint=kept)
    again = run_tasks(int, [(0,), (2,), (1,)], checkpoint=Checkpoint(tmp_path / "kept", ABOUT))
    assert again == [0, 2, 1]


def test_a_fit_keeps_to_one_thread_of_linear_algebra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of small products two threads take several times as long as one; the caller's setting comes back."""
    from threadpoolctl import threadpool_info, threadpool_limits

    def counts() -> set[int]:
        return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}

    seen: list[set[int]] = []
    real = grouped._fit
    monkeypatch.setattr(grouped, "_fit", lambda *given: seen.append(counts()) or real(*given))
    data = gife.datasets.simulate("S", 20, 15).data
    with threadpool_limits(2, user_api="blas"):
        before = counts()
        gife.GroupedIFE.from_formula("y ~ 0 + x1 + x2", data, n_groups=2, n_factors=1).fit()
        assert seen == [{1}] and counts() == before
