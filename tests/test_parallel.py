"""Many tasks at once: order, streams, progress, the same bits on every backend."""

from __future__ import annotations

import joblib
import numpy as np
import pytest

from gifepanel import parallel
from gifepanel.parallel import run_tasks, spawn_seeds


def draw(seed, size):
    return np.random.default_rng(seed).standard_normal((size, 40)).T @ np.ones((size, 3))


def square(value):
    return value * value


def test_results_come_in_the_order_of_the_tasks():
    assert run_tasks(square, [(k,) for k in range(20)], n_jobs=2) == [k * k for k in range(20)]
    assert run_tasks(square, [], n_jobs=1) == []


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_every_backend_gives_the_same_bits(backend):
    tasks = [(seed, 200) for seed in spawn_seeds(7, 6)]
    alone = run_tasks(draw, tasks)
    with joblib.parallel_config(backend=backend, n_jobs=2):
        together = run_tasks(draw, tasks)
    for one, two in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, two)


def test_streams_are_distinct_and_reproducible():
    first = [np.random.default_rng(seed).integers(0, 2**62) for seed in spawn_seeds(3, 500)]
    again = [np.random.default_rng(seed).integers(0, 2**62) for seed in spawn_seeds(3, 500)]
    assert first == again
    assert len(set(first)) == 500
    assert set(first).isdisjoint(np.random.default_rng(seed).integers(0, 2**62) for seed in spawn_seeds(4, 500))


def test_asking_for_seeds_does_not_change_the_sequence_given():
    sequence = np.random.SeedSequence(5)
    assert [s.generate_state(2).tolist() for s in spawn_seeds(sequence, 3)] == [
        s.generate_state(2).tolist() for s in spawn_seeds(sequence, 3)
    ]
    assert sequence.n_children_spawned == 0


def test_progress_counts_completions():
    seen = []
    run_tasks(square, [(k,) for k in range(5)], progress=lambda done, total: seen.append((done, total)))
    assert seen == [(k, 5) for k in range(1, 6)]


def test_no_bar_without_a_terminal(capsys):
    run_tasks(square, [(k,) for k in range(5)])
    run_tasks(square, [(k,) for k in range(5)], progress=False)
    assert capsys.readouterr().err == ""
    run_tasks(square, [(k,) for k in range(5)], progress=True, description="squares")
    assert "squares" in capsys.readouterr().err


def test_a_bar_is_made_once_the_work_takes_its_time(monkeypatch):
    """Short work makes none, so that a notebook is left without its widgets; long work one that knows what is done."""
    made = []

    class Bar:
        def __init__(self, done):
            self.n = done

        def update(self, by):
            self.n += by

        def close(self):
            made.append(self.n)

    monkeypatch.setattr(parallel, "_bar", lambda total, text, done, *, disable: Bar(done))
    run_tasks(square, [(k,) for k in range(5)])
    run_tasks(square, [(k,) for k in range(5)], progress=False)
    assert made == []
    run_tasks(square, [(k,) for k in range(5)], progress=True)
    monkeypatch.setattr(parallel, "_DELAY", -1.0)
    run_tasks(square, [(k,) for k in range(4)])
    run_tasks(square, [(k,) for k in range(4)], progress=False)
    assert made == [5, 4]
