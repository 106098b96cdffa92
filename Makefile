# cinegan: `make repro` rebuilds everything, `make test` proves that the code works.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help setup repro test lint ui team-server bench lock
venv := .venv/bin
ready := .venv/.ready

help:  ## say what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 13

setup: $(ready)  ## make .venv with exactly the locked versions

$(ready): requirements/uv.txt requirements/lock.txt pyproject.toml
	@python3 -c 'import sys; (3, 11) <= sys.version_info < (3, 14) or sys.exit("cinegan needs Python 3.11 to 3.13; python3 is " + sys.version.split()[0])'
	@test -x $(venv)/python || python3 -m venv .venv || { rm -rf .venv; echo 'python3 cannot make a virtual environment: install its venv module (on Debian: python3-venv)' >&2; exit 1; }
	@$(venv)/python -m pip --disable-pip-version-check install --quiet --require-hashes -r requirements/uv.txt
	@# Compiled here once: every stage is a process of its own, and TensorFlow is 5,000 files.
	@$(venv)/uv pip sync --quiet --compile-bytecode --python $(venv)/python --require-hashes requirements/lock.txt
	@$(venv)/uv pip install --quiet --python $(venv)/python --no-deps --no-build-isolation -e .
	@touch $@

repro: $(ready)  ## rebuild whatever is out of date: dvc repro
	@$(venv)/python -m cinegan.params
	@$(venv)/dvc repro

test: $(ready)  ## run the test suite
	@$(venv)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

lint: $(ready)  ## ruff and mypy
	@$(venv)/ruff check .
	@$(venv)/ruff format --check .
	@$(venv)/mypy

ui: $(ready)  ## open the MLflow UI on loopback
	@$(venv)/python -m cinegan.tracking ui

team-server: $(ready)  ## serve MLflow to a team, with passwords: docs/team-server.md
	@$(venv)/python -m cinegan.team_server $(options)

bench: $(ready)  ## set up the peers and print the speed figures of the README
	@test -x .venv-bench/bin/python || python3 -m venv .venv-bench
	@.venv-bench/bin/python -m pip --disable-pip-version-check install --quiet -r requirements/bench.txt
	@$(venv)/python -m benchmarks training

lock: $(ready)  ## choose new versions within pyproject.toml's bounds
	@$(venv)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --upgrade --extra dev pyproject.toml --output-file requirements/lock.txt
	@echo uv | $(venv)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --upgrade - --output-file requirements/uv.txt
