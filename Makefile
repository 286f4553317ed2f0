# napari-xmag. Two commands do everything on a fresh machine:
#   make demo              analyze the built-in sample slide, and say where the results lie
#   make demo SLIDE=path   the same on your slide (MPP=0.25 where the file states no pixel size)
#   make test              run all tests (WORKERS=0 in one process)
# For developers, make: check (lint, types, tests), fuzz, faults, results, lint, docs, setup, clean.

PYTHON ?= python3
BIN := .venv/bin
RESULTS ?= demo-results
WORKERS ?= 3
FUZZ ?= 5000
EXAMPLES ?= 500
SEED ?= 1

# Without a display a virtual one is used, and the demo ends after its screenshot.
ifeq ($(shell uname),Darwin)
HAS_DISPLAY := yes
else
HAS_DISPLAY := $(DISPLAY)$(WAYLAND_DISPLAY)
endif
ifeq ($(HAS_DISPLAY),)
WINDOW := xvfb-run -a -s "-screen 0 1600x1000x24"
STAY :=
else
WINDOW :=
STAY := --stay
endif

.PHONY: help setup demo test fuzz faults results lint check docs clean
help:
	@sed -n 's/^# \{0,1\}//; 1,5p' Makefile

setup:
	@PYTHON="$(PYTHON)" sh .ci/setup

demo: setup
	@$(WINDOW) $(BIN)/python -m napari_xmag._gui.demo $(if $(SLIDE),"$(SLIDE)") \
		$(if $(MPP),--mpp $(MPP)) --out "$(RESULTS)" $(STAY)

# Tests start many processes: without kept bytecode each would compile the package anew.
test: export PYTHONDONTWRITEBYTECODE =
test: setup
	$(WINDOW) $(BIN)/python -m pytest --numprocesses $(WORKERS) $(PYTEST_ARGS)

# Damaged slides of every kind, FUZZ=5000 of them, and documents (EXAMPLES=500 of each kind), both from
# SEED=1; the tests run 300 and 12 others.
fuzz: setup
	XMAG_EXAMPLES=$(EXAMPLES) $(BIN)/python -m pytest tests/fuzz/test_documents.py --hypothesis-seed=$(SEED)
	$(BIN)/python -m tests.fuzz.campaign --count $(FUZZ) --seed $(SEED)

# Runs killed at 40 moments, full disks, 200 slides in one run, 50 windows; a smaller part is tested.
faults: setup
	XMAG_FAULTS=40 $(WINDOW) $(BIN)/python -m pytest -s tests/faults

# The tables of docs/results.md, just under six hours on two cores; PARTS="probes shifts" makes some.
results: setup
	PATH="$(CURDIR)/$(BIN):$$PATH" sh docs/recipes/all_results.sh $(PARTS)

lint: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python .ci/check_docs.py

check: lint test

# Pages, API reference and notebooks, which are executed; nothing is fetched.
docs: setup
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs site
	@echo "The documentation is in site/index.html"

clean:
	rm -rf .venv dist build site $(RESULTS) .pytest_cache .mypy_cache .ruff_cache
