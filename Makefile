# Everything a developer or a first-time user runs. `make demo` and `make test` set up what they need.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test slow golden check format lint types imports dead lock clean

demo: $(READY)  ## train on handwritten digits, and name the report
	$(BIN)/saccade demo

test: $(READY)  ## the default tests: no network, a few minutes
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

slow: $(READY)  ## the tests that take minutes
	$(BIN)/python -m pytest -m slow

golden: $(READY)  ## draw the golden curves anew, after a change that is meant to change them
	SACCADE_MAKE_GOLDEN=1 $(BIN)/python -m pytest -q tests/training/test_golden.py

check: lint types imports dead test  ## all that must hold before a commit

format: $(READY)
	$(BIN)/ruff format src tests benchmarks
	$(BIN)/ruff check --fix src tests benchmarks

lint: $(READY)
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/ruff check src tests benchmarks

types: $(READY)
	$(BIN)/mypy

imports: $(READY)
	$(BIN)/lint-imports

dead: $(READY)
	$(BIN)/vulture

# The lock file pins every package by hash; uv, itself pinned there, installs it.
$(READY): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "saccade needs Python 3.11 or newer; name one with make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	sed -n '/^uv==/,/[^\\]$$/p' requirements.lock > $(VENV)/uv.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $(VENV)/uv.txt
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	touch $(READY)

lock: $(READY)  ## choose the newest versions that pyproject.toml allows
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade \
		--no-emit-index-url --no-emit-find-links --no-header --no-annotate \
		--all-extras --group dev pyproject.toml -o requirements.lock

clean:
	rm -rf $(VENV) demo runs .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
