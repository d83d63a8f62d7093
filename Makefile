# Thin entry points; everything they do can be typed by hand from .venv/bin.
PYTHON ?= python3
BIN := .venv/bin
# The stages say `python`: that of the environment.
export PATH := $(CURDIR)/.venv/bin:$(PATH)
.PHONY: figures repository pull report app verify test quick fuzz lint bench deps check requirements

# DVC puts names of params.yaml into commands and paths, so they are checked before.
figures: repository check
	$(BIN)/dvc repro

# DVC runs in a Git repository only, which a source archive is not.
repository:
	@git rev-parse --git-dir > /dev/null 2>&1 || { echo "error: this folder is not a Git repository, which DVC needs: clone it, or make it one with git init" >&2; exit 1; }

# All of params.yaml, without running anything
check: .venv/user
	$(BIN)/skylight check

# Pages of all figures and numbers, from what Git holds: out/report/index.html
report: repository .venv/user
	$(BIN)/dvc repro -s report

# The service on port 8080 and the page on port 8501, until Ctrl-C
app: .venv/app
	@$(BIN)/python -m apps.service --port 8080 & service=$$!; trap "kill $$service" EXIT INT TERM; \
	$(BIN)/python -m apps.page

# A fresh clone gives the same outputs; on other hardware within a tolerance: make verify TOLERANCE=1e-5
verify: .venv/user
	$(BIN)/python -m skylight.reproduction --tolerance $(or $(TOLERANCE),0)

# All that is shared; the simulated surveys are not, and are made again (docs/remotes.md).
pull: .venv/user
	@$(BIN)/dvc remote default > /dev/null 2>&1 || { echo "error: there is no remote to fetch from; add one with: .venv/bin/dvc remote add --default NAME URL (docs/remotes.md)" >&2; exit 1; }
	$(BIN)/dvc pull $$($(BIN)/dvc stage list --name-only | grep -v -e '-simulate$$')

# All tests, two files at a time
test: .venv/dev
	$(BIN)/python -m pytest -n 2 --dist loadfile

# The tests without those marked `slow`, two at a time
quick: .venv/dev
	$(BIN)/python -m pytest -m "not slow" -n 2 --dist loadfile

# Mutated and hostile inputs, 20,000 for each reader; `make test` tries 200
fuzz: .venv/dev
	SKYLIGHT_FUZZ_EXAMPLES=$(or $(EXAMPLES),20000) $(BIN)/python -m pytest -o timeout=0 tests/fuzz

lint: .venv/dev
	$(BIN)/ruff check . && $(BIN)/ruff format --check .

# The code that each stage should list under `deps` in dvc.yaml
deps: .venv/dev
	$(BIN)/python -m tests.house

requirements: .venv/dev
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --no-header --no-annotate requirements.in -o requirements.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --no-header --no-annotate requirements-app.in -o requirements-app.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --no-header --no-annotate requirements-dev.in -o requirements-dev.txt

.venv/bin/python:
	$(PYTHON) -m venv .venv

# With the project itself, for the command `skylight`
.venv/user: requirements.txt pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install -q -r requirements.txt
	$(BIN)/python -m pip install -q --no-deps --no-build-isolation -e .
	touch $@

.venv/app: requirements-app.txt .venv/user
	$(BIN)/python -m pip install -q -r requirements-app.txt
	touch $@

.venv/dev: requirements-dev.txt .venv/user
	$(BIN)/python -m pip install -q -r requirements-dev.txt
	touch $@

# Comparisons with PyTorch libraries run where bench/requirements.txt is installed too.
bench: .venv/dev
	$(BIN)/python -m bench.dmdt
	$(BIN)/python -m bench.reading
	$(BIN)/python -m bench.realbogus
	$(BIN)/python -m bench.barlength
	$(BIN)/python -m bench.attribution
	$(BIN)/python -m bench.relevance
	$(BIN)/python -m bench.supernovae
	$(BIN)/python -m bench.service
