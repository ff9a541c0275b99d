"""What a terminal shows while there is work."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from gifepanel.command.waiting import CLEAR, compiles_first, waiting


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_is_told_from_the_first_second(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    with pytest.raises(KeyboardInterrupt), waiting("fitting"):
        while "fitting ..." not in stream.getvalue():
            pass
        raise KeyboardInterrupt
    assert stream.getvalue().startswith(f"{CLEAR}fitting ...") and stream.getvalue().endswith(CLEAR)


def test_what_is_going_on_may_change(monkeypatch: pytest.MonkeyPatch) -> None:
    stream, parts = Terminal(), iter(["fitting", "compiling"])
    monkeypatch.setattr("sys.stderr", stream)
    with waiting(lambda: next(parts, "compiling")):
        while "compiling ..." not in stream.getvalue():
            pass
    assert stream.getvalue().startswith(f"{CLEAR}fitting ...{CLEAR}compiling ...")


def test_a_file_is_told_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with waiting("fitting"):
        pass
    assert capsys.readouterr() == ("", "")


def test_whether_something_was_compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    assert compiles_first()
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "kernel.nbi").touch()
    assert not compiles_first()
