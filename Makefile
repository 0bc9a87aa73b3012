# From a clone to a verified run on a Linux machine with Python >= 3.11. `make` alone lists the targets.
# Environments and the demo's model are made once; an interrupted run is continued by the next one.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:

PYTHON ?= python3
DEMO_ARGS ?=
KEEP ?= 0
BENCH_ARGS ?=
DATA ?= ../shared/data/banking77/train.csv
export TUTELAGE_HOME ?= $(CURDIR)/.tutelage
export TUTELAGE_VLLM_ENV ?= $(CURDIR)/.venv-vllm

BIN := .venv/bin
# One thread a process: torch's threads spin, and two processes of them are slower than one.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest -n auto
UNIT := $(PYTEST) -m "not e2e and not validity and not observability"
OBSERVABILITY := $(BIN)/pytest -m observability tests/observability
COMMA := ,
INITDB := $(firstword $(shell command -v initdb) $(wildcard /usr/lib/postgresql/*/bin/initdb))
POSTGRES := $(PYTEST) -p tests.postgres tests/ledger tests/distill/test_harvest.py tests/distill/test_run.py tests/distill/test_worker.py
TIERS := unit, $(if $(INITDB),PostgreSQL$(COMMA) )validity, e2e
PACKAGES := router calibration distill ledger tutelage

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: .venv/.stamp ## Make everything the others need (about five minutes and 6 GB, once)
	@$(BIN)/tutelage setup

ifneq ($(filter demo,$(MAKECMDGOALS)),)
ifneq ($(filter-out 0 1,$(KEEP))$(word 2,$(KEEP)),)
$(error KEEP=$(KEEP) says nothing: 1 leaves the demo up for a look, until Ctrl-C, 0 ends it)
endif
endif

.PHONY: demo
demo: setup ## Watch the loop: teacher only -> student -> savings -> drift -> alarm -> the next student; KEEP=1 leaves it up
	@$(BIN)/tutelage demo $(if $(filter 1,$(KEEP)),--keep) $(DEMO_ARGS)

.PHONY: test
test: setup ## Run all tests, quick ones first; the last ones run real vLLM (minutes)
	$(UNIT)
	$(if $(INITDB),$(POSTGRES))
	$(PYTEST) -m validity
	$(PYTEST) --dist loadfile -m e2e -rs tests/wire
	$(BIN)/pytest -m e2e -rs --ignore tests/wire
	@[[ -n "$(INITDB)" ]] || echo "Not run, for want of Debian's package postgresql: the ledger's tests over PostgreSQL"
	@command -v chromium >/dev/null || echo "Not run, for want of Debian's package chromium: the console in a browser"
	@if [[ -x /usr/bin/prometheus ]]; then $(OBSERVABILITY); echo "Tests that ran: $(TIERS), observability"; else \
	  echo "Tests that ran: $(TIERS). Not run, for want of Debian's package prometheus: observability"; fi

.PHONY: unit
unit: .venv/.stamp ## Run the tests that need neither vLLM nor repetition
	$(UNIT)

.PHONY: postgres
postgres: .venv/.stamp ## Run the tests of the ledger, and of what a run and the worker ask of it, over a real PostgreSQL
	@[[ -n "$(INITDB)" ]] || { echo "needs PostgreSQL's initdb, of Debian's package postgresql"; exit 2; }
	$(POSTGRES)

.PHONY: observability
observability: .venv/.stamp ## Prove dashboards and alert rules on a real Prometheus (Debian's package; minutes)
	@[[ -x /usr/bin/prometheus ]] || { echo "needs Debian's package prometheus: apt-get install prometheus"; exit 2; }
	$(OBSERVABILITY)

.PHONY: check
check: .venv/.stamp ## Lint, types, import contracts, file and function lengths
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest tests/test_file_length.py tests/test_style.py

.PHONY: bench
bench: .venv/.stamp ## Measure what the gateway adds to a request
	$(BIN)/python -m bench.gateway

.PHONY: bench-gateway
bench-gateway: .venv/.stamp ## Measure the gateway beside nginx, LiteLLM, Portkey and vllm-router over real sockets (45 minutes)
	$(BIN)/python -m bench.peers $(BENCH_ARGS)

.PHONY: bench-distill
bench-distill: setup ## Measure students by rows and lessons; DATA=Banking77's train.csv (hours)
	$(BIN)/python -m bench.distillation $(DATA) $(BENCH_ARGS)

.PHONY: bench-sft
bench-sft: .venv/.stamp ## Measure our training beside a plain SFTTrainer; DATA=Banking77's train.csv (half an hour)
	$(BIN)/python -m bench.sft $(DATA) $(BENCH_ARGS)

.PHONY: validity
validity: .venv/.stamp ## Show certificate, interval and alarm holding by repetition (minutes)
	OMP_NUM_THREADS=1 $(BIN)/python -m bench.validity
	OMP_NUM_THREADS=1 $(BIN)/python -m bench.validity_live

.PHONY: clean
clean: ## Remove environments, caches and builds; recorded data and models in .tutelage stay
	rm -rf .venv .venv-vllm build dist *.egg-info .*_cache .hypothesis
	find $(PACKAGES) tests bench -name __pycache__ -prune -exec rm -rf {} +

.venv/.stamp: requirements.lock pyproject.toml tutelage/locks/torch.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and f"Python 3.11 or newer is needed, {sys.executable} is {sys.version.split()[0]}: try make PYTHON=/path/to/python3.11")'
	@$(PYTHON) -m tutelage.environments .venv requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
