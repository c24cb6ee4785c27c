# `make demo` and `make test` are all one needs; both set up an environment first, once.
# Variables: PYTHON (the interpreter for new environments), JOBS (how many tests at a time).

.DEFAULT_GOAL := help
.SILENT:
.PHONY: help venv test lint types unit demo render-env clean

JOBS ?= 2
BIN := .venv/bin
READY := .venv/set-up-is-done
RENDER_READY := .venv-render/set-up-is-done

help:
	echo "make demo        track people in the embedded videos and attack the tracker: a few minutes"
	echo "make test        lint, types and all tests; make lint, make types and make unit run one of the three"
	echo "make venv        only set up .venv, which the others do first"
	echo "make render-env  set up .venv-render, which can render further videos"
	echo "make clean       remove environments and caches"

venv: $(READY)

$(READY): setup.py constraints.txt
	scripts/set_up.sh .venv main '$(PYTHON)'
	touch $@

render-env: $(RENDER_READY)
	echo "ready: .venv-render/bin/skelevision data walkers --help"

$(RENDER_READY): setup.py constraints-render.txt
	scripts/set_up.sh .venv-render render '$(PYTHON)'
	touch $@

test: lint types unit

lint: $(READY)
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --check --quiet .

types: $(READY)
	$(BIN)/mypy --no-error-summary

unit: $(READY)
	$(BIN)/python -m pytest --quiet --numprocesses $(JOBS)

demo: $(READY)
	$(BIN)/python examples/demo.py

clean:
	rm -rf .venv .venv-render build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
