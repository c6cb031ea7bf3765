# make app | make test | make test-all | make test-fast | make lint | make format | make eval | make train-mini
# make supply | make audit | make gallery | make bench | make bench-presets | make bench-binding | make bench-scale | make rehearse | make gpu-check | make space | make load | make clean: docs/usage.md says what each does.
# Everything happens in .venv; no root and no GPU are needed.

SHELL := /bin/sh
VENV := .venv
PY := $(VENV)/bin/python
# The first of the supported interpreters that is on this machine; PYTHON=... overrides it.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.10 python3; do \
	$$p -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 13))' 2>/dev/null && echo $$p && break; done)

.PHONY: app setup test test-all test-fast lint format bench bench-presets bench-binding bench-scale rehearse gpu-check space test-hard fuzz load supply audit eval gallery train-mini clean
.DEFAULT_GOAL := app

app: setup
	@$(PY) app.py

setup: $(VENV)/.weights

$(VENV)/.installed: requirements.txt
	@test -n "$(PYTHON)" || { echo "No Python 3.10, 3.11 or 3.12 found: install one, or say make PYTHON=/path/to/python"; exit 2; }
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@echo "Installing the requirements into $(VENV); about 2 GB, once"
	@$(PY) -m pip install --quiet --disable-pip-version-check "pip==26.3"
	$(PY) -m pip install --quiet -r requirements.txt
	@touch $@

$(VENV)/.weights: $(VENV)/.installed omnibind_core/presets/mini.json
	$(PY) -m omnibind_core doctor --fetch
	@touch $@

$(VENV)/.dev: $(VENV)/.installed requirements-dev.txt
	$(PY) -m pip install --quiet -r requirements-dev.txt
	@touch $@

# Two processes share the tests out: more would each load the models again.
PYTEST := $(PY) -m pytest -n 2 --dist worksteal

test: setup lint
	$(PYTEST) -m "not slow"

test-all: test
	$(PYTEST) -m slow

test-fast: setup $(VENV)/.dev
	$(PYTEST) -m "not browser and not slow"

lint: $(VENV)/.dev
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

format: $(VENV)/.dev
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

gallery: setup
	$(PY) -m omnibind_core gallery --build

eval: setup
	$(PY) -m tools.mini.measure --out docs/results.md

train-mini: setup
	$(PY) -m tools.mini

bench: setup
	$(PY) -m tools.bench

bench-presets: $(VENV)/.installed
	@$(PY) -m tools.bench.presets

bench-binding: $(VENV)/.installed
	@$(PY) -m tools.bench.binding

# Search in COUNT made-up vectors, exact, by a graph and by codes on disk; prints tables; both take 17 minutes.
COUNT ?= 100000 1000000
bench-scale: $(VENV)/.installed
	@$(PY) -m tools.scale --count $(COUNT) --how numpy "FAISS HNSW" FlatIndex DiskIndex

# Stand-ins at true size: the cache takes as much of the disk as the preset fetches. SMALL=1: small files, nothing embedded.
PRESET ?= base
rehearse: setup
	$(PY) -m tools.rehearsal --preset $(PRESET) $(if $(SMALL),--small)

# On a machine with a CUDA card; SMALL=1 runs the same code on the processor.
gpu-check: setup $(VENV)/.dev
	$(PY) -m tools.gpu_check $(if $(SMALL),--small)

space: setup
	@test -n "$(SPACE)" || { echo "Which Space? make space SPACE=user/name"; exit 2; }
	$(PY) -m tools.space $(SPACE)

# Hostile inputs, made anew each time: refused in three parts, or answered within 10 s and 1 GB.
test-hard: setup
	@$(PY) -m tools.hard

# Coverage-guided, all formats together; what it finds lies in fuzz-findings/ and is a case of test-hard from then on.
SECONDS ?= 600
fuzz: setup $(VENV)/.dev
	@$(PY) -m tools.hard --fuzz $(SECONDS)

# A page of its own, and so many VISITORS at once that query it for a while.
VISITORS ?= 1 16 64
load: setup
	@$(PY) -m tools.load --visitors $(VISITORS)

# Versions against requirements.lock, and every installed file against the hash that its wheel recorded.
supply: setup $(VENV)/.dev
	@$(PY) -m tools.supply --check

# Known weaknesses of what the lock names; pip-audit runs in an environment of its own and asks its database for it.
AUDIT := .cache/audit
audit:
	@test -x $(AUDIT)/bin/pip-audit || { $(PYTHON) -m venv $(AUDIT) && $(AUDIT)/bin/python -m pip install --quiet "pip-audit==2.10.1"; } \
		|| { echo "pip-audit cannot be installed here: it needs a package index."; exit 3; }
	@$(PY) -m tools.supply --audit $(AUDIT)/bin/pip-audit

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache
