# Chairside. `make` alone says what there is to do. Needs Python 3.11 or later and nothing else.
#
#   PYTHON=/path/to/python3.11   the interpreter that .venv is made from
#   ARGS="..."                   more arguments for chairside demo or pytest

.DEFAULT_GOAL := help
.NOTPARALLEL:
.SUFFIXES:
# Programs that we start may call make themselves; they must not inherit our flags.
unexport MAKEFLAGS MFLAGS MAKELEVEL

BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
PYTHON ?=
ARGS ?=

.PHONY: help setup setup-dev servers demo check test test-long format lock clean

help:  ## Say what there is to do
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' Makefile

setup: .venv/.runs  ## Make .venv with what the demo and a gateway need

demo: .venv/.runs  ## Six simulated chairs, the gateway and the wall page, for about three minutes
	@exec $(BIN)/chairside demo $(ARGS)

check: .venv/.develops  ## Style, types, generated files, firmware for the ESP32
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python scripts/check_firmware.py
	$(BIN)/chairside bench pins --check
	$(BIN)/python -m gateway.asyncapi --check
	$(BIN)/python -m gateway.influx_schema --check
	$(BIN)/python -m gateway.protocol_reference --check
	$(BIN)/python -m grafana.build --check
	$(BIN)/python -m simulators.clinic.schema --check
	$(BIN)/python -m hardware.reference --check

test: .venv/.develops servers  ## Tests of seconds, with real servers
	$(BIN)/python -m pytest -n auto -m "not long" $(ARGS)

test-long: .venv/.develops servers  ## Tests of minutes: outages, whole demos
	$(BIN)/python -m pytest -n auto -m long $(ARGS)

format: .venv/.develops  ## Lay out the code and mend what can be mended
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

clean:  ## Remove .venv, caches and build results; var/ with its records stays
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis ./*.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# ---- inside -----------------------------------------------------------------------------------------------

setup-dev: .venv/.develops

servers:
	@scripts/servers

# The demo's packages are apart from the developer's, so that a first demo does not wait for SciPy.
.venv/.runs: requirements.lock pyproject.toml
	@scripts/venv "$(PYTHON)"
	@echo "Installing what the demo needs into .venv"
	@$(PIP) install --quiet --no-deps --require-hashes -r requirements.lock
	@$(PIP) install --quiet --no-deps --no-build-isolation -e .
	@touch $@

.venv/.develops: requirements-dev.lock .venv/.runs
	@echo "Installing what the tests and checks need into .venv"
	@$(PIP) install --quiet --no-deps --require-hashes -r requirements-dev.lock
	@touch $@

# Hashes only, no address of an index: whoever installs uses the index of their own choice.
LOCK := pip-compile --quiet --generate-hashes --strip-extras --allow-unsafe --build-deps-for editable \
	--no-header --no-annotate --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options

lock: .venv/.develops
	$(BIN)/$(LOCK) $(ARGS) --extra sim --output-file requirements.lock pyproject.toml
	$(BIN)/$(LOCK) $(ARGS) --extra dev --constraint requirements.lock --output-file requirements-dev.lock pyproject.toml
