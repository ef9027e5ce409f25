# From a fresh clone: `make demo` or `make test`.  Everything lives in .venv; `make clean` removes it.
#
#   make demo ARGS=--execute     runs the quickstart notebook without a browser
#   make test ARGS="-k frames"   passes options to pytest
#   make test PYTHON=python3.13  chooses the interpreter, in an environment of its own: .venv-3.13

PYTHON ?= python3
# What differs by interpreter lies beside what the usual one made: its environments, what it compiled.
CHOSEN := $(if $(filter-out file,$(origin PYTHON)),-$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])'))
VENV := .venv$(CHOSEN)
BIN := $(VENV)/bin
RESULTS := benchmarks/results/last
NATIVE := build/native$(CHOSEN)
AS_NATIVE := PYTHONSAFEPATH=1 PYTHONPATH=$(CURDIR)/$(NATIVE):$(CURDIR)
COVERED := $(addprefix tests/,core wire session endpoint tvm remote integration)
TORCH := $(VENV)-torch
# "+cpu": pip finds it where PyTorch's own index is configured, and nothing larger in its place.
TORCH_WHEEL ?= torch==2.13.0+cpu

# An activated environment around us must not decide where pip installs or what Python imports.
unexport VIRTUAL_ENV PYTHONHOME PYTHONPATH

.PHONY: demo test test-nightly test-native test-torch fuzz audit coverage lint bench bench-peers browser clean
.DELETE_ON_ERROR:

demo: $(VENV)/.has-demo
	$(BIN)/rpcnb demo $(ARGS)

test: $(VENV)/.has-test browser
	$(BIN)/python -m pytest $(ARGS)

test-nightly: $(VENV)/.has-test browser
	$(BIN)/python -m pytest -m nightly --timeout 1800 -o faulthandler_timeout=0 $(ARGS)

# In an environment of its own: the CPU's wheel, never the gigabytes of CUDA.
test-torch: $(TORCH)/.made
	$(TORCH)/bin/python -m pytest tests/session/test_pytorch.py $(ARGS)

# Of core, wire, session and endpoint; fails under 95 %.  What runs there is slower under a tracer.
coverage: $(VENV)/.has-test
	$(BIN)/python -m pytest --cov --timeout 300 -m "not nightly and not untraced" $(COVERED) $(ARGS)

# Guided by what it covers, a minute for each: `make fuzz SECONDS=1800` in a quiet hour.
SECONDS := 60
fuzz: $(VENV)/.has-test
	for target in handshake frames values; do $(BIN)/python tests/fuzz $$target $(SECONDS) || exit 1; done

# Asks the package index which versions have known holes: not a test, as the answer changes by itself.
audit: $(VENV)/.has-audit
	$(BIN)/pip-audit --local --skip-editable $(ARGS)

lint: $(VENV)/.has-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	@command -v tsc >/dev/null || { \
	  echo "the types of the browser's modules need node-typescript: installing it"; \
	  sudo=$$([ "$$(id -u)" -eq 0 ] || echo sudo); \
	  $$sudo apt-get update -qq && \
	  $$sudo apt-get install -y -qq --no-install-recommends node-typescript; }
	tsc --project tests/notebook/static

# What is compiled, as compiled: the tests of all that goes through it.
test-native: $(NATIVE)/.made $(VENV)/.has-test
	$(AS_NATIVE) $(BIN)/python -m pytest tests/core/test_version.py tests/cli/test_version.py tests/wire tests/endpoint $(ARGS)

bench: $(NATIVE)/.made $(VENV)/.has-bench
	$(AS_NATIVE) $(BIN)/python -m benchmarks $(ARGS)

# The views are tested in a real browser, their modules in node: installed where Debian's packages are.
browser:
	@command -v chromium >/dev/null && command -v node >/dev/null || { \
	  echo "the tests need chromium and nodejs: installing them"; \
	  sudo=$$([ "$$(id -u)" -eq 0 ] || echo sudo); \
	  $$sudo apt-get update -qq && \
	  $$sudo apt-get install -y -qq --no-install-recommends chromium nodejs; }

# Beside other libraries, and what the repository shows of it: half an hour, on a quiet machine.
bench-peers: $(NATIVE)/.made $(VENV)/.has-bench
	$(AS_NATIVE) $(BIN)/python -m benchmarks --peers --json $(RESULTS).json --plot $(RESULTS).png $(ARGS)
	$(BIN)/python -m benchmarks.readme

clean:
	rm -rf .venv .venv-* build dist .coverage .coverage.* htmlcov .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find rpcnb tests -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamp, not the folder, says that an environment is whole: an interrupted one is made anew.
$(VENV)/.made:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "rpcnb needs Python 3.11 or newer; choose one with PYTHON=")'
	$(PYTHON) -m venv --clear $(VENV)
	touch $@

# rpcnb as `HATCH_BUILD_HOOKS_ENABLE=1 pip install .` installs it, in a folder of its own: the editable
# install of the environment stays what it is.
$(NATIVE)/.made: hatch_build.py pyproject.toml $(shell find rpcnb -name '*.py*' -not -name '*.pyc') $(VENV)/.made
	rm -rf $(NATIVE)
	HATCH_BUILD_HOOKS_ENABLE=1 $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --target $(NATIVE) .
	touch $@

# One stamp for each extra of pyproject.toml, made again when that file changes.
$(VENV)/.has-%: pyproject.toml $(VENV)/.made
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$*]'
	touch $@

$(TORCH)/.made: pyproject.toml $(VENV)/.made
	$(PYTHON) -m venv --clear $(TORCH)
	$(TORCH)/bin/python -m pip install --quiet --disable-pip-version-check $(TORCH_WHEEL)
	$(TORCH)/bin/python -m pip install --quiet --disable-pip-version-check --editable . hypothesis psutil pytest pytest-timeout
	touch $@
