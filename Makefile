# Every target sets up what it needs in .venv, the first time and when pyproject.toml changes.
# PYTHON=/path/to/python chooses the interpreter, TESTS=tests/unit a part of the tests, JOBS=1 runs one after the other.

DEMO := client/examples/demo
TESTS := tests
FUZZ_SECONDS := 60
SCHEDULES := 200000
REPEATS := 5
JOBS := 3

VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.set-up
CANDIDATES := $(if $(PYTHON),"$(PYTHON)",python3 python3.13 python3.12 python3.11)
SUITABLE := import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))
PYTEST := $(PY) -m pytest --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder
PIP := $(PY) -m pip --quiet --quiet --no-input --disable-pip-version-check

# What the caller's shell has active must not leak into .venv.
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV

# The stamp holds the place where .venv was made: in a copied tree .venv would still run the code of the old place.
MADE_AT := $(shell cat $(STAMP) 2>/dev/null)
ifneq ($(MADE_AT),$(CURDIR))
.PHONY: $(STAMP)
endif

.DEFAULT_GOAL := help
.PHONY: help venv demo demo-path unit test torture fuzz bench check format docs clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-7s %s\n", $$1, $$2 }' Makefile

demo: $(STAMP) ## show a session between devices on a hub of this machine
	@$(PY) $(DEMO)

unit: $(STAMP) ## run the tests that need no hub and no store, in seconds
	$(PYTEST) --hypothesis-profile quick -m 'not slow' tests/unit tests/vectors tests/property

test: $(STAMP) ## run all tests, on a real store and real sockets
	$(PYTEST) $(TESTS)

torture: $(STAMP) ## run the store's calls in SCHEDULES=200000 orders, or again in that of one SEED=n
	SCHEDULES=$(SCHEDULES) $(PYTEST) tests/schedules

fuzz: $(STAMP) ## look for inputs that break codec or listener, FUZZ_SECONDS=60 long
	@$(PY) -c 'import atheris' 2>/dev/null || $(PIP) install --group fuzz
	$(PY) -m tests.fuzz $(FUZZ_SECONDS)

bench: $(STAMP) ## measure what the hub costs, REPEATS=5 times each, beside a bare relay
	REPEATS=$(REPEATS) $(PY) -m tests.bench

check: $(STAMP) ## lint, formatting, types, and who may import whom
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy hub client protocol tests .ci
	$(VENV)/bin/lint-imports --no-logo

format: $(STAMP) ## format the code, and apply the linter's safe fixes
	$(PY) -m ruff check --fix-only .
	$(PY) -m ruff format .

docs: $(STAMP) ## build the API reference into build/docs
	$(PY) .ci/api_reference.py build/docs

demo-path: # for .ci/run, which runs the demo on an installed wheel
	@echo $(DEMO)

venv: $(STAMP) ## only set up .venv

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
	anew=; \
	if [ -e $(STAMP) ] && [ "$$(cat $(STAMP))" != "$$(pwd -P)" ]; then anew=--clear; fi; \
	if [ -e $(VENV) ] && ! { $(PY) -c '$(SUITABLE)' && $(PIP) --version; } >/dev/null 2>&1; then anew=--clear; fi; \
	echo "setting up $(VENV) with $$("$$found" --version) (first time, about a minute)"; \
	"$$found" -m venv $$anew $(VENV)
	@$(PIP) install --upgrade 'pip>=25.1'
	@echo 'installing musterhub[hub] and the development tools'
	@$(PIP) install --editable '.[hub]' --group dev
	@pwd -P > $(STAMP)
	@echo '$(VENV) is ready'
