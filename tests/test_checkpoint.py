"""Folders from which long runs go on."""

from __future__ import annotations

import numpy as np
import pytest

from gifepanel.checkpoint import Checkpoint, fingerprint
from gifepanel.exceptions import SpecificationError
from gifepanel.parallel import run_draws, spawn_seeds

ABOUT = {"what": "numbers", "random_state": "3"}


def numbers(seeds, size):
    if not seeds:
        raise AssertionError("no empty blocks")
    drawn = np.array([np.random.default_rng(seed).standard_normal(size) for seed in seeds])
    return drawn, np.arange(len(seeds), dtype=np.int8)


def draws(n, **options):
    return run_draws(numbers, (4,), n, random_state=3, **options)


def interrupted_at(number):
    def progress(done, total):
        assert total == 70
        if done >= number:
            raise KeyboardInterrupt

    return progress


def test_every_draw_has_its_own_stream():
    got = draws(70)[0]
    by_hand = [np.random.default_rng(seed).standard_normal(4) for seed in spawn_seeds(3, 70)]
    np.testing.assert_array_equal(got, by_hand)
    np.testing.assert_array_equal(draws(25)[0], got[:25])


def test_an_interrupt_loses_nothing_that_was_finished(tmp_path):
    whole = draws(70)[0]
    with pytest.raises(KeyboardInterrupt):
        draws(70, checkpoint=Checkpoint(tmp_path / "a" / "b", ABOUT), progress=interrupted_at(40))
    kept = Checkpoint(tmp_path / "a" / "b", ABOUT).rows(70)
    assert sorted(kept) == list(range(40))
    counts = []
    again = draws(70, checkpoint=Checkpoint(tmp_path / "a" / "b", ABOUT), progress=lambda *at: counts.append(at))
    np.testing.assert_array_equal(again[0], whole)
    assert counts == [(60, 70), (70, 70)]  # what was there counts as done
    assert draws(70, checkpoint=Checkpoint(tmp_path / "a" / "b", ABOUT), progress=interrupted_at(0))[0].shape == (70, 4)


def test_more_draws_go_on_and_fewer_are_the_first(tmp_path):
    whole = draws(70)[0]
    for n in (25, 70, 10):
        np.testing.assert_array_equal(draws(n, checkpoint=Checkpoint(tmp_path, ABOUT))[0], whole[:n])


def test_a_damaged_file_is_made_again(tmp_path):
    whole = draws(70, checkpoint=Checkpoint(tmp_path, ABOUT))[0]
    files = sorted(tmp_path.glob("draws-*.npz"))
    files[0].write_bytes(files[0].read_bytes()[:300])
    files[1].write_bytes(b"")
    (tmp_path / ".abc.part").write_bytes(b"half")
    np.testing.assert_array_equal(draws(70, checkpoint=Checkpoint(tmp_path, ABOUT))[0], whole)


def test_other_runs_and_other_folders_are_refused(tmp_path):
    Checkpoint(tmp_path / "one", ABOUT)
    with pytest.raises(SpecificationError, match="another run: random_state differs") as error:
        Checkpoint(tmp_path / "one", ABOUT | {"random_state": "4"})
    assert error.value.fix == f'checkpoint="{(tmp_path / "one-2").as_posix()}"'
    assert not (tmp_path / "one-2").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    with pytest.raises(SpecificationError, match="is not empty"):
        Checkpoint(tmp_path / "mine", ABOUT)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.tex"]
    with pytest.raises(SpecificationError, match="which is a file"):
        Checkpoint(tmp_path / "mine" / "thesis.tex", ABOUT)
    (tmp_path / "one" / "run.json").write_text("{")
    with pytest.raises(SpecificationError, match="can't be read"):
        Checkpoint(tmp_path / "one", ABOUT)
    for wrong in (3, b"a", "", True):
        with pytest.raises(SpecificationError, match="name of a folder"):
            Checkpoint(wrong, ABOUT)


def test_fingerprints_tell_bits_apart():
    x = np.arange(6.0)
    assert fingerprint(x, "a") == fingerprint(x.copy(), "a")
    others = [fingerprint(x.reshape(2, 3), "a"), fingerprint(np.nextafter(x, 9), "a"), fingerprint((x,), "a")]
    assert len({fingerprint(x, "a"), *others}) == 4
