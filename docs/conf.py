"""Configuration of Sphinx: ``make docs`` builds with warnings as errors, and needs no network."""

import os
import shutil
import sys
from pathlib import Path

# notebooks and autodoc import numerical code: one thread is enough
os.environ.setdefault("MPLBACKEND", "Agg")
sys.path.insert(0, str(Path(__file__).parent / "_ext"))

import gifepanel

project = "gifepanel"
author = "gifepanel developers"
copyright = author
version = release = gifepanel.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "numpydoc",
    "myst_nb",
    "sphinx_copybutton",
    "mathml",
    "pictures",
    "docstrings",
    "members",
    "navigation",
    "prose",
]
exclude_patterns = ["_build"]
templates_path = ["_templates"]
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_theme = "furo"
pygments_dark_style = "github-dark"
html_title = f"gifepanel {version}"
html_math_renderer = "mathml"

autosummary_generate = True
autodoc_typehints = "none"
numpydoc_show_class_members = False

# links must lead somewhere; helpers of the inner layers that docstrings mention have no page of their own
nitpicky = True
nitpick_ignore_regex = [
    ("py:.*", r"gifepanel\.(inference|projections|solvers|parallel)\..*"),
    ("py:func", r"[a-z_]+"),
]
viewcode_line_numbers = True

myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence", "deflist"]
myst_heading_anchors = 3
nb_execution_mode = "off"
nb_code_prompt_show = "Show the code of the picture"
nb_code_prompt_hide = "Hide the code"

# Sphinx reads below docs/ only: the notebooks are copied there, with their stored output (they are run by the tests)
HERE = Path(__file__).parent
(HERE / "notebooks").mkdir(exist_ok=True)
for notebook in (HERE.parent / "notebooks").glob("*.ipynb"):
    shutil.copy2(notebook, HERE / "notebooks")
