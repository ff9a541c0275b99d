"""The documentation builds without a warning: ``make test`` asks for it, beside the other tests."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.skipif("GIFEPANEL_DOCS" not in os.environ, reason="`make test` and `make docs` build the documentation")
def test_the_site_builds_without_a_warning() -> None:
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", "docs", "docs/_build/html"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
