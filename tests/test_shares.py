"""Panels whose entities are on Dask workers: the numbers of one process, and little on the wire."""

from __future__ import annotations

import os
import pickle
import signal
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import joblib
import numpy as np
import pytest

import gifepanel as gife
from gifepanel import blocks, shares
from gifepanel.blocks import block_sums, blocks_of, sum_over_blocks, total_of
from gifepanel.exceptions import LostWorkerError
from gifepanel.shares import Rows, Shares, collected, from_first, rows_of, sums_of
from gifepanel.solvers import descent, search, shared_panel

# sockets of a scheduler and its workers that are left to be collected
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
N, T = 5_000, 12


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0", silence_logs=50
        ) as two,
        distributed.Client(two) as client,
    ):
        yield client


@pytest.fixture
def short_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 16 entities and fewer."""
    monkeypatch.setattr(blocks, "_ELEMENTS", 1 << 9)


@pytest.fixture(autouse=True)
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every panel counts as large, and is searched for a short while."""
    monkeypatch.setattr(blocks, "LARGE", 1)
    monkeypatch.setattr(blocks, "UNCOPIED", 1)
    monkeypatch.setattr(search, "_MOST", 2)
    monkeypatch.setattr(search, "_FEWEST", 2)


def panel(n: int = N, t: int = T) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    common = rng.standard_normal((n, 1)) @ rng.standard_normal((1, t))
    x = rng.standard_normal((n, t, 2)) + 0.5 * common[:, :, None]
    alpha = np.array([[0.4, 1.6], [1.6, 0.4]])
    y = np.einsum("ntp,np->nt", x, alpha[rng.integers(2, size=n)]) + common + 0.3 * rng.standard_normal((n, t))
    return y + rng.standard_normal(t), x


@pytest.mark.parametrize("width", [1, 8, 50, 10_000])
@pytest.mark.parametrize("cuts", [(0, 12_288, 30_000), (0, 4_096, 8_192, 24_576, 30_000)])
def test_sums_of_shares_are_those_of_all_blocks_to_the_bit(cuts: tuple[int, ...], width: int) -> None:
    values = np.random.default_rng(0).standard_normal((30_000, 3)) * 1e3
    whole = sum_over_blocks(lambda rows: values[rows].sum(axis=0), len(values), width)
    nodes = []
    for start, end in pairwise(cuts):
        own = values[start:end]
        nodes += block_sums(lambda rows, own=own: own[rows].sum(axis=0), len(own), width, start)
    np.testing.assert_array_equal(total_of(nodes), whole)
    np.testing.assert_allclose(whole, values.sum(axis=0), rtol=1e-9)
    # as few sums as binary numbers have digits go over the wire
    number = len(blocks_of(len(values), width))
    assert len(nodes) <= 2 * (len(cuts) - 1) * max(1, number.bit_length())


class InThisProcess:
    """A client whose workers are this process, and which counts what would be sent to them and what comes home."""

    def __init__(self) -> None:
        self.out = self.home = 0

    def submit(self, kind: Any, *args: Any, actor: bool, workers: Any, pure: bool) -> Any:
        assert actor and len(workers) == 1
        return Answer(Actor(self, kind(*args)))


class Actor:
    def __init__(self, client: InThisProcess, store: Any) -> None:
        self.client, self.store = client, store

    def run(self, *args: Any) -> Any:
        self.client.out += sum(map(len, sent(args)))
        value = self.store.run(*args)
        self.client.home += sum(map(len, sent(value)))
        return Answer(value)


class Answer:
    def __init__(self, value: Any) -> None:
        self.value = value

    def result(self, timeout: float) -> Any:
        return self.value


def sent(value: Any) -> list[Any]:
    buffers: list[Any] = []
    head = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
    return [head, *(one.raw() for one in buffers)]


def doubled(first: int, own: Any, other: Any, factor: float) -> Any:
    assert len(own) == len(other) and first in (0, 4_096)
    return factor * own + other


def column_sums(first: int, own: Any) -> Any:
    return block_sums(lambda rows: own[rows].sum(axis=0), len(own), 32, first)


def first_row(_: int, own: Any) -> Any:
    return own[0]


def test_rows_in_shares_are_worked_on_as_arrays_are() -> None:
    home = Shares(InThisProcess(), (0, 4_096, 6_000), {"one": 1, "two": 2})
    values = np.random.default_rng(1).standard_normal((6_000, 2))
    rows = home.split([values[:4_096], values[4_096:]])
    assert isinstance(rows, Rows) and len(rows) == 6_000
    np.testing.assert_array_equal(collected(rows_of(doubled, (rows, values), 2.0)), 3.0 * values)
    np.testing.assert_array_equal(rows_of(doubled, (values, values), 2.0), 3.0 * values)
    np.testing.assert_array_equal(sums_of(column_sums, (rows,)), sums_of(column_sums, (values,)))
    np.testing.assert_array_equal(from_first(first_row, (rows,)), values[0])
    with pytest.raises(TypeError, match="on workers"):
        pickle.dumps(rows)


def told(res: Any) -> dict[str, Any]:
    names = ("params", "bse", "factors", "ssr", "resid", "loadings", "time_effects", "entity_effects")
    found = {name: np.asarray(getattr(res, name)) for name in names}
    return found | ({"groups": res.groups.to_numpy()} if hasattr(res, "groups") else {})


def assert_same(one: Any, other: Any) -> None:
    expected = told(other)
    for name, values in told(one).items():
        np.testing.assert_array_equal(values, expected[name], err_msg=name)


GROUPED: dict[str, Any] = {"n_groups": 2, "n_factors": 1}
MODELS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("GroupedIFE", GROUPED | {"absorb": "time"}, {}),
    ("GroupedIFE", GROUPED | {"common": ["x2"]}, {"n_starts": 2}),
    ("GroupedIFE", GROUPED | {"absorb": "entity"}, {"polish": False, "classify": "nearest"}),
    ("GroupedIFE", GROUPED, {"kappa": 0.05, "metric": "mahalanobis", "start": "zero"}),
    ("InteractiveFE", {"n_factors": 1, "absorb": ["entity", "time"]}, {"n_starts": 3}),
    ("InteractiveFE", {"n_factors": 2}, {"cov_type": "cluster"}),
]


@pytest.mark.filterwarnings("ignore:.*did not converge", "ignore:The penalised")
@pytest.mark.parametrize(("model", "choices", "options"), MODELS, ids=lambda value: str(value)[:60])
def test_fits_in_shares_are_the_same_to_the_bit(model, choices, options, short_blocks, monkeypatch) -> None:
    y, x = panel(150)
    alone = getattr(gife, model)(y, x, **choices).fit(**options)
    client = InThisProcess()
    monkeypatch.setattr(shared_panel, "shares_of", lambda n: Shares(client, (0, 48, n), {"one": 1, "two": 2}))
    together = getattr(gife, model)(y, x, **choices).fit(**options)
    assert client.out > y.nbytes + x.nbytes
    assert_same(together, alone)


def test_newton_steps_in_shares_are_the_same_to_the_bit_and_send_sums(short_blocks, monkeypatch) -> None:
    """Of a trending panel, where extrapolations fail."""
    real, calls, traffic = descent.newton_step, list[Any](), list[int]()
    client = InThisProcess()

    def counted(*arguments: Any) -> Any:
        before = client.out + client.home
        calls.append(real(*arguments))
        traffic.append(client.out + client.home - before)
        return calls[-1]

    monkeypatch.setattr(descent, "newton_step", counted)
    rng = np.random.default_rng(2)
    factor = 1.0 + rng.standard_normal((150, 1)) @ np.ones((1, T)) * rng.standard_normal((1, T)).cumsum(axis=1)
    x = factor[:, :, None] + 0.3 * rng.standard_normal((150, T, 2)).cumsum(axis=1)
    y = np.einsum("ntp,np->nt", x, np.array([[0.4, 1.6], [1.6, 0.4]])[np.arange(150) % 2]) + factor
    y = y + rng.standard_normal((150, T))
    alone = gife.GroupedIFE(y, x, **GROUPED).fit()
    assert any(step is not None for step in calls)
    number = len(calls)
    monkeypatch.setattr(shared_panel, "shares_of", lambda n: Shares(client, (0, 48, n), {"one": 1, "two": 2}))
    assert_same(gife.GroupedIFE(y, x, **GROUPED).fit(), alone)
    assert len(calls) == 2 * number
    assert max(traffic) < 150_000


def test_collinear_regressors_and_perfect_fits_in_shares(short_blocks, monkeypatch) -> None:
    """What needs the panel here, or other sums than squares."""
    y, x = panel(150)
    rng = np.random.default_rng(4)
    close = np.concatenate([x, x[:, :, :1] + 1e-5 * rng.standard_normal((150, T, 1))], axis=2)
    exact = np.einsum("ntp,p->nt", x, [1.0, 2.0]) + 1e3 * rng.standard_normal((150, 1)) @ rng.standard_normal((1, T))
    cases = [(y, close), (exact + 1e-4 * y, x)]
    alone = [gife.InteractiveFE(*case, n_factors=1).fit() for case in cases]
    monkeypatch.setattr(shared_panel, "shares_of", lambda n: Shares(InThisProcess(), (0, 48, n), {"one": 1, "two": 1}))
    for case, expected in zip(cases, alone, strict=True):
        assert_same(gife.InteractiveFE(*case, n_factors=1).fit(), expected)


def test_an_iteration_sends_sums_whatever_the_number_of_entities(short_blocks, monkeypatch) -> None:
    """T by T matrices and a few numbers for each share; never what is as long as the entities."""
    real, most = descent._Descent.iterate, []
    for n in (400, 1_600):
        client, traffic = InThisProcess(), list[int]()
        monkeypatch.setattr(
            shared_panel, "shares_of", lambda n, client=client: Shares(client, (0, 192, n), {"one": 1, "two": 1})
        )

        def iterate(self: Any, state: Any, client: Any = client, traffic: list[int] = traffic) -> Any:
            before = client.out + client.home
            new = real(self, state)
            traffic.append(client.out + client.home - before)
            return new

        monkeypatch.setattr(descent._Descent, "iterate", iterate)
        y, x = panel(n)
        gife.GroupedIFE(y, x, **GROUPED).fit()
        assert len(traffic) >= 3
        most.append(max(traffic))
        assert y.nbytes + x.nbytes < client.out < 1.5 * (y.nbytes + x.nbytes) + 200_000  # the panel itself, once
    assert most[0] < 60_000 and most[1] < 1.5 * most[0]


def test_a_fit_begins_again_where_a_worker_dies(short_blocks, monkeypatch) -> None:
    y, x = panel(150)
    alone = gife.InteractiveFE(y, x, n_factors=1).fit(random_state=np.random.default_rng(1))
    real, seen = Actor.run, []

    def dying(self: Any, *args: Any) -> Any:
        seen.append(1)
        if len(seen) == 3:
            raise CommClosedError("in <TCP>")
        return real(self, *args)

    monkeypatch.setattr(Actor, "run", dying)
    monkeypatch.setattr(shared_panel, "shares_of", lambda n: Shares(InThisProcess(), (0, 48, n), {"one": 1, "two": 1}))
    assert_same(gife.InteractiveFE(y, x, n_factors=1).fit(random_state=np.random.default_rng(1)), alone)
    assert len(seen) > 6
    lost = Shares(InThisProcess(), (0, 4_096, 6_000), {"one": 1, "two": 1})
    with pytest.raises(LostWorkerError, match="is gone"):  # an actor that was made anew knows of no entities
        collected(rows_of(first_row, (Rows(lost, shares._Kept(lost, 99)),)))


class CommClosedError(Exception):
    """Of that name in Dask, too."""


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Of how many shares the panels are that are sent out."""
    real, sizes = shared_panel._sent, list[int]()
    monkeypatch.setattr(shared_panel, "_sent", lambda data, home: sizes.append(len(home.workers)) or real(data, home))
    return sizes


@pytest.mark.filterwarnings("ignore::gifepanel.exceptions.ConvergenceWarning")
def test_a_fit_on_workers_is_the_same_to_the_bit(cluster, monkeypatch) -> None:
    y, x = panel()
    short: dict[str, Any] = {"max_sweeps": 1, "max_iter": 2}  # each step is a message
    alone, sizes = gife.GroupedIFE(y, x, **GROUPED).fit(**short), counted(monkeypatch)
    with joblib.parallel_config(backend="dask"):
        assert_same(gife.GroupedIFE(y, x, **GROUPED).fit(**short), alone)
    assert sizes == [2]


@pytest.mark.slow
def test_a_worker_that_is_killed_is_an_error_and_the_next_fit_works(cluster, monkeypatch) -> None:
    """Where a fit is not to begin again, that is."""
    y, x = panel()
    sizes, gathered, calls = counted(monkeypatch), Shares.gathered, []

    def killing(self: Any, rows: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            last = list(self.workers)[1]
            os.kill(cluster.run(os.getpid, workers=[last])[last], signal.SIGKILL)
        return gathered(self, rows)

    monkeypatch.setattr(shares, "_LOST", 0)
    monkeypatch.setattr(Shares, "gathered", killing)
    with joblib.parallel_config(backend="dask"):
        with pytest.raises(LostWorkerError, match="that held some of the entities is gone"):
            gife.InteractiveFE(y, x, n_factors=1).fit(n_starts=3)
        cluster.wait_for_workers(2)
        assert gife.InteractiveFE(y, x, n_factors=1).fit().converged
    assert sizes == [2, 2]


def test_small_panels_and_models_without_factors_stay(monkeypatch) -> None:
    monkeypatch.setattr(shared_panel, "shares_of", lambda n: pytest.fail("shares"))
    gife.GroupedIFE(*panel(150), n_groups=2, n_factors=0).fit()
    monkeypatch.setattr(blocks, "LARGE", 1 << 22)
    gife.InteractiveFE(*panel(150), n_factors=1).fit()


@pytest.mark.parametrize(("threads", "n", "cuts"), [((1, 1), 9_000, (0, 8_192, 9_000)), ((1, 3), 40_000, None)])
def test_shares_are_as_large_as_workers_have_threads(threads, n, cuts, monkeypatch) -> None:
    class Client(InThisProcess):
        def nthreads(self) -> dict[str, int]:
            return {str(k): number for k, number in enumerate(threads)}

    monkeypatch.setattr(shares, "_dask", lambda: (Client(), -1))
    found = shares.shares_of(n)
    assert found is not None and found.cuts == (cuts or (0, 8_192, 40_000))
    assert all(cut % blocks.longest_block() == 0 for cut in found.cuts[:-1])
    assert shares.shares_of(4_096) is None
    monkeypatch.setattr(shares, "_dask", lambda: (Client(), 1))
    assert shares.shares_of(n) is None
