# From a fresh clone: `make demo` or `make test`.  Everything lives in .venv; `make clean` removes it.
#
#   make demo ARGS=--execute     runs the quickstart notebook without a browser
#   make test ARGS="-k frames"   passes options to pytest
#   make PYTHON=python3.13 test  chooses the interpreter (when .venv is made)

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# An activated environment around us must not decide where pip installs or what Python imports.
unexport VIRTUAL_ENV PYTHONHOME PYTHONPATH

.PHONY: demo test test-nightly coverage lint bench clean
.DELETE_ON_ERROR:

demo: $(VENV)/.has-demo
	$(BIN)/rpcnb demo $(ARGS)

test: $(VENV)/.has-test
	$(BIN)/python -m pytest $(ARGS)

test-nightly: $(VENV)/.has-test
	$(BIN)/python -m pytest -m nightly --timeout 1800 $(ARGS)

coverage: $(VENV)/.has-test
	$(BIN)/python -m pytest --cov $(ARGS)

lint: $(VENV)/.has-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.has-bench
	$(BIN)/python -m benchmarks $(ARGS)

clean:
	rm -rf $(VENV) build dist .coverage .coverage.* htmlcov .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find rpcnb tests -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamp, not the folder, says that an environment is whole: an interrupted one is made anew.
$(VENV)/.made:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "rpcnb needs Python 3.11 or newer; choose one with PYTHON=")'
	$(PYTHON) -m venv --clear $(VENV)
	touch $@

# One stamp for each extra of pyproject.toml, made again when that file changes.
$(VENV)/.has-%: pyproject.toml $(VENV)/.made
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$*]'
	touch $@
