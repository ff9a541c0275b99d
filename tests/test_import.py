"""What ``import gifepanel`` costs and shows."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import gifepanel

HEAVY = ("numba", "sklearn", "statsmodels", "pandas", "scipy", "numpy", "formulaic", "patsy", "matplotlib")


def loaded_after(statement: str) -> set[str]:
    """Top-level modules of a new process after `statement`."""
    program = f"{statement}\nimport sys, json\nprint(json.dumps(sorted({{m.split('.')[0] for m in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    "statement",
    [
        "import gifepanel",
        "import gifepanel; dir(gifepanel); gifepanel.__version__; gifepanel.exceptions",
        "import gifepanel.cli",
        "import gifepanel.formula.api",
    ],
)
def test_import_brings_in_nothing_heavy(statement: str) -> None:
    assert not loaded_after(statement) & set(HEAVY)


def test_datasets_need_pandas_only() -> None:
    loaded = loaded_after("import gifepanel\ngifepanel.datasets.simulate('S', 10, 5)")
    assert not loaded & {"numba", "sklearn", "statsmodels", "formulaic", "patsy", "matplotlib"}


def test_small_data_need_no_compiled_code() -> None:
    """A small fit loads neither numba nor a kernel."""
    loaded = loaded_after(
        "import gifepanel as g\n"
        "data = g.datasets.load_cigar()\n"
        "res = g.PartialledOLS.from_formula('sales ~ price | state + year', data)"
        ".fit(cov_type='cluster', cov_kwds={'groups': 'state'})\n"
        "str(res.summary())"
    )
    assert "statsmodels" in loaded and "numba" not in loaded


def test_dir_is_the_public_names_in_order() -> None:
    assert dir(gifepanel) == sorted(gifepanel.__all__)
    assert len(dir(gifepanel)) < 20


@pytest.mark.parametrize("name", gifepanel.__all__)
def test_public_name_resolves_once(name: str) -> None:
    assert getattr(gifepanel, name) is getattr(gifepanel, name)


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'GroupedIFEE'"):
        gifepanel.GroupedIFEE


def test_version_is_the_installed_one() -> None:
    from importlib.metadata import version

    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+)?", gifepanel.__version__)
    assert version("gifepanel") == gifepanel.__version__


def test_package_is_marked_as_typed() -> None:
    assert (Path(gifepanel.__file__).parent / "py.typed").is_file()
