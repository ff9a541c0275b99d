"""A function of random numbers, many times: streams, tables, checkpoints, what it raises."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import gifepanel as gife
from gifepanel.exceptions import SpecificationError

CALLS = []


def mean_and_spread(rng, size=5):
    CALLS.append(size)
    x = rng.normal(size=size)
    return {"mean": x.mean(), "spread": x.std()}


def test_every_draw_has_its_own_stream():
    table = gife.monte_carlo(mean_and_spread, 6, random_state=4)
    streams = [np.random.SeedSequence(4, spawn_key=(j,)) for j in range(6)]
    by_hand = [np.random.default_rng(stream).normal(size=5).mean() for stream in streams]
    assert table["mean"].tolist() == by_hand
    assert table.index.name == "draw"
    pd.testing.assert_frame_equal(gife.monte_carlo(mean_and_spread, 3, random_state=4), table[:3])


def test_numbers_and_series_make_columns():
    assert gife.monte_carlo(lambda rng: 2.0, 3)["value"].tolist() == [2.0] * 3
    table = gife.monte_carlo(lambda rng: pd.Series({"a": 1.0, "b": 2.0}), 2)
    assert list(table) == ["a", "b"]


def test_a_second_call_goes_on(tmp_path):
    whole = gife.monte_carlo(mean_and_spread, 8)

    def stop(done, total):
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        gife.monte_carlo(mean_and_spread, 8, checkpoint=tmp_path / "run", progress=stop)
    CALLS.clear()
    pd.testing.assert_frame_equal(gife.monte_carlo(mean_and_spread, 8, checkpoint=tmp_path / "run"), whole)
    assert len(CALLS) == 3


def test_another_run_in_the_folder_is_refused(tmp_path):
    folder = tmp_path / "run"
    gife.monte_carlo(mean_and_spread, 2, checkpoint=folder)
    calls = {
        "random_state differs": lambda: gife.monte_carlo(mean_and_spread, 2, random_state=1, checkpoint=folder),
        "arguments differs": lambda: gife.monte_carlo(mean_and_spread, 2, arguments=[6], checkpoint=folder),
        "another run: what, function": lambda: gife.monte_carlo(lambda rng: rng.normal(), 2, checkpoint=folder),
        "there is a checkpoint": lambda: gife.monte_carlo(mean_and_spread, 2, random_state=None, checkpoint=folder),
    }
    for words, call in calls.items():
        with pytest.raises(SpecificationError, match=words):
            call()


def test_what_a_draw_raises_says_how_to_make_it_again():
    def fails(rng):
        x = rng.normal()
        if x < -1.0:
            raise ValueError(x)
        return x

    with pytest.raises(ValueError, match="-1") as caught:
        gife.monte_carlo(fails, 100)
    (note,) = caught.value.__notes__
    again = eval(note.split("those of ")[1].rstrip("."))
    assert again.normal() == caught.value.args[0]


def test_something_else_than_a_function_is_refused():
    with pytest.raises(SpecificationError, match="given a str"):
        gife.monte_carlo("mean")
