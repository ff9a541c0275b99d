"""What is said where a neighbour is not installed, and what importing the package brings in."""

from __future__ import annotations

import subprocess
import sys

import pytest

import gifepanel
from gifepanel.exceptions import MissingPackageError
from gifepanel.interop import common


def test_an_absent_package_is_named_with_the_line_that_installs_it() -> None:
    with pytest.raises(MissingPackageError, match=r"no-such-package is not installed.*pip install no-such-package"):
        common.neighbour("no_such_package.part", "no-such-package")


def test_a_broken_neighbour_says_what_it_lacks(tmp_path, monkeypatch) -> None:
    (tmp_path / "broken_neighbour.py").write_text("import not_there_at_all\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="not_there_at_all"):
        common.neighbour("broken_neighbour")


def test_modules_come_without_their_neighbours() -> None:
    names = gifepanel.interop.__all__
    assert dir(gifepanel.interop) == sorted(names)
    packages = {"stargazer", "maketables", "linearmodels", "great_tables", "marginaleffects"}
    program = (
        f"import sys\nfrom importlib import import_module\n"
        f"for name in {names!r}: import_module(f'gifepanel.interop.{{name}}')\nprint({packages!r} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_unknown_module() -> None:
    with pytest.raises(AttributeError, match="no attribute 'stata'"):
        gifepanel.interop.stata
