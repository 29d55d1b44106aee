# One command each; `make` alone lists them. Needs Python 3.11 or later and make, nothing else.
# PYTHON=python3.12 chooses another interpreter, VENV=dir another place for the virtual environment.

VENV ?= .venv
BIN := $(VENV)/bin
CANDIDATES := python3 python3.13 python3.12 python3.11
ifndef PYTHON
# The first that is new enough; where none is, python3 stays and the check below says what is missing.
PYTHON := $(shell for p in $(CANDIDATES); do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo $$p; exit; }; done; echo python3)
endif
TESTS ?=
# What the install compiles where cargo is at hand.
NATIVE := $(wildcard streams/native/src/*.rs streams/native/*.toml streams/native/*.lock streams/native/*.py)

.PHONY: help demo bank test-tools test check format bench faults soak clean
.DEFAULT_GOAL := help

help:
	@echo 'make demo    start everything on this machine and play a day of a small bank'
	@echo 'make bank    an example bank that demands a code before a payout, and its page'
	@echo 'make test    the whole test suite      (make test TESTS=tests/core: a part of it)'
	@echo 'make test-tools   Chromium, promtool, Alertmanager from Debian, as root (without, some tests are skipped)'
	@echo 'make check   format, lint, types, import contracts, tidy tests, the count of instructions, then the tests'
	@echo 'make format  put the code into the one format'
	@echo 'make bench   how fast one worker is beside a bare loop, and where the time goes'
	@echo 'make faults  kill, freeze and starve everything for half an hour, and show that every record counts once'
	@echo 'make soak    twenty minutes at a steady rate: are memory, descriptors and latency flat?'
	@echo 'make clean   remove the virtual environment and all caches (not the data folder)'

demo: $(VENV)/.installed-all
	@$(BIN)/stepwatch demo

bank: $(VENV)/.installed-all
	@$(BIN)/python -m deploy.examples.bank

test-tools:
	@command -v chromium >/dev/null && command -v promtool >/dev/null && command -v prometheus-alertmanager >/dev/null || { \
	  apt-get update -q && apt-get install -y -q --no-install-recommends chromium prometheus prometheus-alertmanager; }

test: $(VENV)/.installed-dev
	@$(BIN)/python -m pytest $(TESTS)

check: $(VENV)/.installed-dev
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@if command -v cargo >/dev/null; then cd streams/native && cargo fmt --check && \
	  cargo clippy --quiet --locked --all-targets -- -D warnings; \
	else echo 'no cargo here: the native core is neither built nor checked'; fi
	@$(BIN)/python -m pytest -q tests/tidy
	@$(BIN)/python -m tests.bench.guard
	@$(BIN)/python -m pytest --ignore=tests/tidy $(TESTS)

format: $(VENV)/.installed-dev
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: $(VENV)/.installed-dev
	@$(BIN)/python -m tests.bench

soak: $(VENV)/.installed-dev
	@$(BIN)/python -m tests.faults.soak $(SOAK)

faults: $(VENV)/.installed-dev
	@$(BIN)/python -m tests.faults $(FAULTS)

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis dist build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp is newer than pyproject.toml once its install is done: the next run starts at once and needs no network.
$(VENV)/.installed-all: pyproject.toml $(NATIVE) | $(BIN)/python
	@$(call install,all)
	@touch $@

$(VENV)/.installed-dev: pyproject.toml $(NATIVE) | $(BIN)/python
	@$(call install,dev)
	@touch $@ $(VENV)/.installed-all

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Stepwatch needs Python 3.11 or later; '$(PYTHON)' is `$(PYTHON) --version 2>/dev/null || echo missing`." >&2; \
	  echo "Install one, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11" >&2; exit 2; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	  echo "$(PYTHON) has no venv module. Debian and Ubuntu keep it apart: apt install python3-venv" >&2; exit 2; }
	@echo "making $(VENV) with `$(PYTHON) --version`"
	@$(PYTHON) -m venv $(VENV)

define install
echo "installing stepwatch[$(1)] into $(VENV) (once; some minutes if nothing is in pip's cache)"; \
$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$(1)]' || { \
  echo "pip could not install stepwatch[$(1)]: its own words are above." >&2; \
  echo "The first install needs the package index (PIP_INDEX_URL names another one); then try again." >&2; exit 3; }
endef
