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
N, T = 9_000, 12


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


@pytest.fixture(autouse=True)
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every panel counts as large, and is searched for a short while."""
    monkeypatch.setattr(blocks, "LARGE", 1)
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


MODELS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("GroupedIFE", {"n_groups": 2, "n_factors": 1, "absorb": "time"}, {}),
    ("GroupedIFE", {"n_groups": 2, "n_factors": 1, "common": ["x2"]}, {"polish": False, "n_starts": 2}),
    ("InteractiveFE", {"n_factors": 1, "absorb": ["entity", "time"]}, {}),
]


@pytest.mark.parametrize(("model", "choices", "options"), MODELS, ids=lambda value: str(value)[:40])
def test_a_fit_on_workers_is_the_same_to_the_bit(cluster, model, choices, options, monkeypatch) -> None:
    y, x = panel()
    alone, real = getattr(gife, model)(y, x, **choices).fit(**options), shared_panel._sent
    sizes = []
    monkeypatch.setattr(shared_panel, "_sent", lambda data, home: sizes.append(len(home.workers)) or real(data, home))
    with joblib.parallel_config(backend="dask"):
        together = getattr(gife, model)(y, x, **choices).fit(**options)
    assert sizes == [2]
    for name, values in told(together).items():
        np.testing.assert_array_equal(values, told(alone)[name], err_msg=name)


@pytest.mark.parametrize("always", [False, True])
def test_a_worker_that_is_killed_costs_a_fit_that_begins_again(cluster, always, monkeypatch) -> None:
    y, x = panel()
    choices: dict[str, Any] = {"n_groups": 2, "n_factors": 1}
    alone, gathered, calls = gife.GroupedIFE(y, x, **choices).fit(), Shares.gathered, []

    def killing(self: Any, rows: Any) -> Any:
        calls.append(1)
        if len(calls) == 20:
            last = list(self.workers)[1]
            os.kill(cluster.run(os.getpid, workers=[last])[last], signal.SIGKILL)
        return gathered(self, rows)

    with joblib.parallel_config(backend="dask"):
        monkeypatch.setattr(Shares, "gathered", killing)
        if always:
            monkeypatch.setattr(shares, "_LOST", 0)
            with pytest.raises(LostWorkerError, match="that held some of the entities is gone"):
                gife.GroupedIFE(y, x, **choices).fit()
        else:
            again = gife.GroupedIFE(y, x, **choices).fit()
            assert len(calls) > 40  # once more from the start
            np.testing.assert_array_equal(again.params, alone.params)
        monkeypatch.setattr(Shares, "gathered", gathered)
        cluster.wait_for_workers(2)
        np.testing.assert_array_equal(gife.GroupedIFE(y, x, **choices).fit().params, alone.params)


def test_an_iteration_sends_sums_whatever_the_number_of_entities(monkeypatch) -> None:
    """T by T matrices and a few numbers for each share; never what is as long as the entities."""
    least, seen, real_iterate = 4, [], descent._Descent.iterate
    for n in (9_000, 18_000):
        client = InThisProcess()
        cuts = (0, 4_096, n)
        monkeypatch.setattr(
            shared_panel, "shares_of", lambda _, c=client, cuts=cuts: Shares(c, cuts, {"one": 1, "two": 2})
        )
        traffic: list[int] = []

        def iterate(self: Any, state: Any, client: Any = client, traffic: list[int] = traffic) -> Any:
            before = client.out + client.home
            new = real_iterate(self, state)
            traffic.append(client.out + client.home - before)
            return new

        monkeypatch.setattr(descent._Descent, "iterate", iterate)
        gife.GroupedIFE(*panel(n), n_groups=2, n_factors=1).fit()
        assert len(traffic) >= least
        seen.append(max(traffic))
        assert client.out > 8 * n * T * 3  # the panel itself, once
        assert client.out < 1.5 * 8 * n * T * 3
    assert max(seen) < 20_000 < 8 * 9_000 * 2
    assert seen[1] < 1.5 * seen[0]


def test_small_panels_and_models_without_factors_stay(cluster, monkeypatch) -> None:
    monkeypatch.setattr(shared_panel, "_sent", lambda *_: pytest.fail("sent"))
    with joblib.parallel_config(backend="dask"):
        gife.GroupedIFE(*panel(40), n_groups=2, n_factors=1).fit()
        gife.GroupedIFE(*panel(), n_groups=2, n_factors=0).fit(groups_known=True)
        monkeypatch.setattr(blocks, "LARGE", 1 << 22)
        gife.InteractiveFE(*panel(), n_factors=1).fit()
