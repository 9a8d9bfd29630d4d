# Every target sets up .venv first, if it is missing or if pyproject.toml has changed.
# Options: PYTHON=/path/to/python is the interpreter of .venv, TESTS=tests/unit runs a part of the tests, and JOBS=1 runs
# the tests one after the other. MEASURE=yes measures the coverage of the tests.

DEMO := client/examples/demo
TESTS := tests
FUZZ_SECONDS := 60
SCHEDULES := 200000
REPEATS := 5
JOBS := 3

COVERAGE := build/coverage

VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.set-up
CANDIDATES := $(if $(PYTHON),"$(PYTHON)",python3 python3.14 python3.13 python3.12 python3.11)
SUITABLE := import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))
PYTEST := -m pytest --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder
PIP := $(PY) -m pip --quiet --quiet --no-input --disable-pip-version-check

# The caller's own Python settings must not reach .venv.
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV PYTHONDONTWRITEBYTECODE

# The stamp holds the folder in which .venv was made. In a copied tree, .venv would still run the code of the first folder.
MADE_AT := $(shell cat $(STAMP) 2>/dev/null)
ifneq ($(MADE_AT),$(CURDIR))
.PHONY: $(STAMP)
endif

.DEFAULT_GOAL := help
.PHONY: help venv demo demo-path unit test torture fuzz mutants bench check format docs clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' Makefile

demo: $(STAMP) ## start a hub and devices on this machine, and show a session between them
	@$(PY) $(DEMO)

unit: $(STAMP) ## run the tests that need no hub and no store, in seconds
	$(PY) $(PYTEST) --hypothesis-profile quick -m 'not slow' tests/unit tests/vectors tests/property

test: $(STAMP) ## run all tests, on a real store and on real sockets; MEASURE=yes prints how much of each room they cover
ifdef MEASURE
	rm -rf $(COVERAGE)
	mkdir -p $(COVERAGE)
	MEASURE=yes $(PY) $(PYTEST) $(TESTS); failed=$$?; \
	$(PY) -m coverage combine --quiet && \
	$(PY) -m coverage json --quiet -o $(COVERAGE)/report.json && \
	$(PY) .ci/coverage_by_room.py $(COVERAGE)/report.json && \
	exit $$failed
else
	$(PY) $(PYTEST) $(TESTS)
endif

torture: $(STAMP) ## run the store's calls in SCHEDULES=200000 random orders, or in the one of SEED=n
	SCHEDULES=$(SCHEDULES) $(PY) $(PYTEST) tests/schedules

fuzz: $(STAMP) ## search for inputs that break the codec or the listener, for FUZZ_SECONDS=60
	@$(PY) -c 'import atheris' 2>/dev/null || $(PIP) install --group fuzz
	$(PY) -m tests.fuzz $(FUZZ_SECONDS)

mutants: $(STAMP) ## drop each check of the protocol, and see the test vectors notice; SAMPLE=40 drops some, SEED=n the same ones again
	@$(PY) -m tests.mutants $(if $(SAMPLE),--sample $(SAMPLE)) $(if $(SEED),--seed $(SEED))

bench: $(STAMP) ## measure the hub's cost beside that of a bare relay, REPEATS=5 times each
	REPEATS=$(REPEATS) $(PY) -m tests.bench

check: $(STAMP) ## check lint, formatting, types, and which package may import which
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy hub client protocol tests .ci
	$(VENV)/bin/lint-imports --no-logo

format: $(STAMP) ## format the code, and apply the linter's safe fixes
	$(PY) -m ruff check --fix-only .
	$(PY) -m ruff format .

docs: $(STAMP) ## build the API reference into build/docs
	$(PY) .ci/api_reference.py build/docs

demo-path: # .ci/run runs the demo on an installed wheel
	@echo $(DEMO)

venv: $(STAMP) ## set up .venv and nothing else

clean: ## remove builds and caches (.venv stays)
	rm -rf dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find hub client protocol tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): pyproject.toml
	@found=; \
	for python in $(CANDIDATES); do \
	  if "$$python" -c '$(SUITABLE)' 2>/dev/null; then found=$$python; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	  echo 'No Python 3.11 or newer with venv and ensurepip among:' $(CANDIDATES) >&2; \
	  echo 'Install one (on Debian: apt install python3-venv), or name it: make PYTHON=/path/to/python3' >&2; \
	  exit 1; \
	fi; \
	clear=; \
	if [ -e $(STAMP) ] && [ "$$(cat $(STAMP))" != "$$(pwd -P)" ]; then clear=--clear; fi; \
	if [ -e $(VENV) ] && ! { $(PY) -c '$(SUITABLE)' && $(PIP) --version; } >/dev/null 2>&1; then clear=--clear; fi; \
	echo "setting up $(VENV) with $$("$$found" --version) (first time, about a minute)"; \
	"$$found" -m venv $$clear $(VENV)
	@$(PIP) install --upgrade 'pip>=25.1'
	@echo 'installing musterhub[hub] and the development tools'
	@$(PIP) install --no-compile --editable '.[hub]' --group dev
	@pwd -P > $(STAMP)
	@echo '$(VENV) is ready'
