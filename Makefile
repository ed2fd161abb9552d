# make demo   set up, then train, test, export and run the edge detector on drawn frames
# make test   set up, then run the tests, two side by side (JOBS=4: four)
# make lint   ruff, mypy, and who may import whom
# make structure   the rooms of the code in figures: arrows, circles, sizes, repeated lines
# make reproduce   set up, then the seed systems' claims beside our figures: RESULTS.md; ARGS=--quick for a trial
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
# Tests side by side; the tests of one file stay together, as they share what they trained.
JOBS ?= 2
SPREAD := -n $(JOBS) --dist loadfile

# Real images and backbones, where they lie beside the checkout; tests that need them skip without.
ifneq ($(wildcard ../shared/data/README.md),)
export MEDANOMALY_DATA ?= $(abspath ../shared/data)
endif
ifneq ($(wildcard ../shared/weights/README.md),)
export MEDANOMALY_WEIGHTS ?= $(abspath ../shared/weights)
endif

.PHONY: setup demo test test-slow lint structure reproduce clean
setup: $(STAMP)

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[train,dev]"
	@touch $@

demo: $(STAMP)
	$(BIN)/medanomaly demo --out results/demo

test: $(STAMP)
	$(BIN)/python -m pytest -m "not slow" $(SPREAD)

test-slow: $(STAMP)
	$(BIN)/python -m pytest -m slow

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

structure: $(STAMP)
	$(BIN)/python benchmarks/structure.py

reproduce: $(STAMP)
	$(BIN)/python -m tools.reproduce $(ARGS)

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache
