"""Configuration of Sphinx: ``make docs`` builds with warnings as errors."""

import os

import gifepanel

# notebooks and autodoc import numerical code: one thread is enough
os.environ.setdefault("MPLBACKEND", "Agg")

project = "gifepanel"
author = "gifepanel developers"
copyright = author
version = release = gifepanel.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
    "myst_nb",
]
exclude_patterns = ["_build"]
templates_path = ["_templates"]
html_theme = "furo"
html_title = f"gifepanel {version}"

autosummary_generate = True
autodoc_typehints = "none"
numpydoc_show_class_members = False

myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence"]
myst_heading_anchors = 3
nb_execution_mode = "off"
