# `make demo` and `make test` are all one needs; both set up an environment first, once.
# Variables: PYTHON (the interpreter for new environments), JOBS (how many tests at a time), KINDS (of images: gpu cpu),
# ROOM (parts of the package, for make mutation).

.DEFAULT_GOAL := help
.SILENT:
.PHONY: help venv test lint types unit test-experiments fuzz test-resume mutation demo docs docs-serve town-env test-town \
	check-dist fits-tag run-image push-image wheel try-wheel image test-image clean

JOBS ?= 2
ROOM ?= boxes
KINDS ?= gpu cpu
BIN := .venv/bin
READY := .venv/set-up-is-done
TOWN_READY := .venv-town/set-up-is-done

help:
	echo "make demo        track people in the packaged videos and attack the tracker: a few minutes"
	echo "make test        lint, types, docs and the package's tests; make lint, types, docs and unit run one of the four"
	echo "make test-experiments: test the scripts in benchmarks/ and experiments/; some minutes"
	echo "make fuzz        feed thousands of mutated files to the readers: some minutes"
	echo "make test-resume kill trainings at 20 random moments, and compare what they come to when resumed; long"
	echo "make mutation    put single faults into ROOM=boxes, or tracking, objectives, online, screen, attacks, metrics,"
	echo "                 weights, averaging, intervals or readers, and list those that no test finds"
	echo "make venv        only set up .venv, which the others do first"
	echo "make town-env    set up .venv-town, which can render further videos; see town/README.md"
	echo "make test-town   test the renderer in it, with Blender"
	echo "make wheel       build dist/: the wheel and the source archive"
	echo "make try-wheel   install that wheel into an empty environment and evaluate with it from an empty folder"
	echo "make image       build the container images, KINDS=\"gpu cpu\"; see docker/README.md"
	echo "make test-image  build them without Docker, and evaluate in them as ARMORY does (root, buildah; long)"
	echo "make docs-serve  serve the guides and the reference on http://127.0.0.1:8000; reloads when a file changes"
	echo "make clean       remove environments and caches"

venv: $(READY)

$(READY): setup.py constraints.txt
	scripts/set_up.sh .venv main '$(PYTHON)'
	touch $@

town-env: $(TOWN_READY)
	echo "ready: .venv-town/bin/skelevision data walkers --help"

$(TOWN_READY): setup.py town/pyproject.toml town/constraints.txt
	scripts/set_up.sh .venv-town town '$(PYTHON)'
	touch $@

test-town: $(TOWN_READY)
	.venv-town/bin/python -m pytest --quiet --config-file=town/pyproject.toml town/tests

test: $(READY)
	$(MAKE) --no-print-directory --jobs $(JOBS) lint types docs
	$(MAKE) --no-print-directory unit

lint: $(READY)
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/zizmor --offline --quiet .github

types: $(READY)
	$(BIN)/mypy --no-error-summary

unit: $(READY)
	$(BIN)/python -m pytest --quiet --numprocesses $(JOBS) --ignore tests/benchmarks --ignore tests/experiments

test-experiments: $(READY)
	$(BIN)/python -m pytest --quiet --numprocesses $(JOBS) tests/benchmarks tests/experiments

fuzz: $(READY)
	HYPOTHESIS_PROFILE=fuzz $(BIN)/python -m pytest --quiet --timeout 3600 --numprocesses $(JOBS) -m fuzz

test-resume: $(READY)
	PYTHONPATH=. OMP_NUM_THREADS=1 $(BIN)/python tests/killed_runs.py --training multitask --moments 20 \
		--at step:4 validation:2 writing:6 renaming:3 export:1

mutation: $(READY)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt mutmut
	$(BIN)/python -m scripts.mutation --jobs $(JOBS) $(ROOM)

demo: $(READY)
	$(BIN)/python examples/demo.py

wheel: $(READY)
	rm -rf build dist
	PIP_CONSTRAINT=constraints.txt $(BIN)/python -m build --outdir dist .

try-wheel:
	PYTHON='$(PYTHON)' scripts/try_wheel.sh

image: $(READY)
	$(BIN)/python docker/build.py $(KINDS) $(if $(BUILD_OPTIONS),-- $(BUILD_OPTIONS))

test-image: $(READY)
	docker/test_image.sh $(KINDS)

docs: $(READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

docs-serve: $(READY)
	$(BIN)/mkdocs serve

# What releases take besides; see .github/workflows.
check-dist: $(READY)
	$(BIN)/twine check --strict dist/*

fits-tag:
	grep --quiet --line-regexp --fixed-strings '__version__ = "$(patsubst v%,%,$(filter v%,$(TAG)))"' \
		armory_skelevision/__init__.py || { echo "error: $(TAG) is not v and the package's version" >&2; exit 1; }

run-image push-image: $(READY)
	scripts/use_image.sh $(@:-image=) '$(KIND)' $(REGISTRY)

clean:
	rm -rf .venv .venv-town build dist site *.egg-info town/*.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .mutation
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
