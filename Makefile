# Every target builds .venv by itself from python3 alone. `make demo` and `make test` are the two to know.
PYTHON ?= python3
JOBS ?= 2
BIN := .venv/bin
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check --no-compile
# uv installs in a fraction of pip's time, but does not know an index that pip is told to use; where it fails, pip goes on
INDEX := $(BIN)/python -m pip config list | grep -E '[.](index-url|no-index|proxy|trusted-host)=' >/dev/null
UV := $(BIN)/uv pip install -q --python $(BIN)/python
# byte code of what a fit imports: pip would make it of everything, uv makes none
IMPORTED := numpy scipy pandas statsmodels formulaic narwhals patsy joblib
BYTECODE = $(BIN)/python -m compileall -q -j 0 -x '/tests?/' $(addprefix .venv/lib/python*/site-packages/,$(IMPORTED)) gifepanel
INSTALL = { ! { $(INDEX); } && $(PIP) uv && $(UV) -e ".[$(EXTRAS)]"; } || $(PIP) -e ".[$(EXTRAS)]"

# one thread for each of the JOBS test processes
export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1
export MKL_NUM_THREADS ?= 1
# kept also where Python is told to write none: dozens of processes start, and compiling an import takes longer than it
unexport PYTHONDONTWRITEBYTECODE
# compiled once, before the test processes start from copies (tests/conftest.py)
KERNELS := $(CURDIR)/.pytest_cache/numba/first

.DEFAULT_GOAL := help
.PHONY: help demo test kernels kernels-factors kernels-effects bytecode lint format docs notebooks slow bench clean

help:
	@echo "make demo    fit the cigarette panel and print the report"
	@echo "make test    ruff, mypy, the tests, the documentation"
	@echo "make lint    ruff and mypy         make format  ruff, rewriting files"
	@echo "make docs    docs/_build/html      make slow    Monte Carlo tests"
	@echo "make notebooks   run notebooks/*.py and store them with their output"
	@echo "make bench   speed and accuracy    make clean   remove .venv and everything built"

demo: .venv/stamp-run
	@$(BIN)/gifepanel demo

test: .venv/stamp-dev
	@$(MAKE) --no-print-directory -j$(JOBS) -Otarget kernels-factors lint kernels-effects bytecode
	GIFEPANEL_DOCS=1 $(BIN)/python -m pytest -q -n $(JOBS) --dist loadfile --no-loadscope-reorder

kernels: kernels-factors kernels-effects

kernels-factors kernels-effects: .venv/stamp-dev
	@NUMBA_CACHE_DIR=$(KERNELS) $(BIN)/python -m tests.compile_kernels $(@:kernels-%=%)

# of all that tests import, and of tests: the test processes start at once, and each would compile everything.
# What can't be imported is told by them
bytecode: .venv/stamp-dev
	@$(BIN)/python -m pytest -qq --collect-only >/dev/null 2>&1 || true

lint: .venv/stamp-dev
	$(BIN)/ruff check .
	$(BIN)/mypy

format: .venv/stamp-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: .venv/stamp-dev
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html

notebooks: .venv/stamp-dev
	$(BIN)/python notebooks/build.py

slow: .venv/stamp-dev
	$(BIN)/python -m pytest -q -n $(JOBS) -m slow

bench: .venv/stamp-bench
	@set -e; for script in benchmarks/bench_*.py; do echo "== $$script"; $(BIN)/python $$script; done

clean:
	rm -rf .venv build dist docs/_build docs/generated docs/notebooks .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find gifepanel tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

.venv/bin/python:
	@echo "creating .venv"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "gifepanel needs Python 3.11 or newer; name one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -m venv .venv \
		|| { rm -rf .venv; echo "no venv module: install it (Debian: apt-get install python3-venv)" >&2; exit 1; }

.venv/stamp-run: EXTRAS := plot
.venv/stamp-run: pyproject.toml | .venv/bin/python
	@echo "installing gifepanel"
	@$(INSTALL)
	@$(BYTECODE) >/dev/null 2>&1 || true
	@touch $@

.venv/stamp-dev: EXTRAS := test,lint,docs
.venv/stamp-dev: pyproject.toml | .venv/bin/python
	@echo "installing gifepanel and its development tools"
	@$(INSTALL)
	@touch .venv/stamp-run $@

.venv/stamp-bench: EXTRAS := test,bench
.venv/stamp-bench: pyproject.toml | .venv/bin/python
	@echo "installing gifepanel and its benchmarks"
	@$(INSTALL)
	@touch .venv/stamp-run $@
