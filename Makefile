# Every command of this project, each one word. `make demo` and `make test` need nothing prepared.
SHELL := /bin/bash
BIN := .venv/bin
STAMP := .venv/.installed

# simulate: SEED alone runs that one seed; with SEEDS, that many beginning there
SEED ?=
SEEDS ?=
# lab: for example `make lab ARGS="trial --nodes 5 --groups 3 --fault kill-host --trials 3 --json"`
ARGS ?= --help

.PHONY: help venv demo test check format codes sim lab bench deb deb-test reference clean
.DEFAULT_GOAL := help

help:
	@echo "make demo    a cluster on this machine: a host dies, its address answers again, in a quarter of a minute"
	@echo "make test    everything: unit, property, kernel and laboratory tests, and 500 simulated seeds"
	@echo "make check   what to run before each commit, in under a minute"
	@echo "make sim     the simulator; SEEDS=1000 runs that many, SEED=42 tells the story of one"
	@echo "make lab     the laboratory, with ARGS=\"...\""
	@echo "make bench   the figures of docs/, measured on this machine"
	@echo "make deb     dist/zcluster_*.deb for this distribution, and the wheel in it"
	@echo "make deb-test  as root: that package in a clean root, then on three hosts under a systemd of their own"
	@echo "make reference  docs/configuration.md, from the schema"
	@echo "make format  put the code into its one shape"
	@echo "make codes   docs/codes.md from the catalogue of codes"

$(STAMP): pyproject.toml .ci/venv
	@echo "zcluster: making .venv (once)"
	@.ci/venv
	@touch $@

venv: $(STAMP)

demo: $(STAMP)
	@$(BIN)/zcluster lab demo

test: $(STAMP)
	@.ci/packages
	$(BIN)/pytest -q -n 3 -m "not kernel and not lab and not slow"
	$(BIN)/pytest -q -m "kernel or lab or slow"
	$(BIN)/zcluster simulate --seeds 500
	$(BIN)/zcluster simulate --nodes 2 --seeds 200

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	ZCLUSTER_QUICK=1 $(BIN)/pytest -q -n 3 -m "not kernel and not lab and not slow"
	$(BIN)/zcluster simulate --seeds 100
	$(BIN)/zcluster simulate --nodes 2 --seeds 40

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

codes: $(STAMP)
	$(BIN)/python -m zcluster.console.codes_page > docs/codes.md
	$(BIN)/python -m zcluster.console.journal_catalog > packaging/systemd/zcluster.catalog

sim: $(STAMP)
	$(BIN)/zcluster simulate $(if $(SEEDS),--seeds $(SEEDS)) $(if $(SEED),--seed $(SEED))

lab: $(STAMP)
	$(BIN)/zcluster lab $(ARGS)

bench: $(STAMP)
	@set -e; for script in bench/[a-z]*.py; do echo "== $$script"; $(BIN)/python -m bench.$$(basename $$script .py); done

deb: $(STAMP)
	@packaging/debian/build

deb-test: deb
	@set -e; package=$$(ls -t dist/zcluster_*.deb | head -n 1); root=$$(mktemp --suffix=.tar); trap "rm -f $$root" EXIT; \
	packaging/debian/make-clean-root $$root; \
	packaging/debian/test-in-clean-root $$package $$root; \
	packaging/debian/test-under-systemd $$package $$root

reference: $(STAMP)
	@$(BIN)/python -c 'from zcluster.config.reference import as_markdown; print(as_markdown(), end="")' > docs/configuration.md

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
