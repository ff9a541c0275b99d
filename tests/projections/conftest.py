"""The projections with compiled passes and with those in NumPy."""

from __future__ import annotations

import pytest

from gifepanel.projections import system


@pytest.fixture(params=["compiled", "plain"])
def both_passes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Everything twice, whatever the number of rows."""
    monkeypatch.setattr(system, "_SMALL", 0 if request.param == "compiled" else 10**9)
    return str(request.param)
