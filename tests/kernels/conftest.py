"""Kernels are tested as compiled code, whatever is in the cache; their twins are compared with it in test_plain.py."""

from __future__ import annotations

import pytest

from gifepanel.kernels import _jit


@pytest.fixture(autouse=True)
def _compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_jit, "_SMALL", -1)
