# Every verb does all its own set-up. `make help` lists them.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PYTHONPATH := operator:.
# Byte code is kept beside the libraries, and nowhere in the tree: without it every process compiles all that it imports
# (an MLflow server: 10 s of processor time instead of 3).
unexport PYTHONDONTWRITEBYTECODE
export PYTHONPYCACHEPREFIX := $(CURDIR)/$(VENV)/pycache

.DEFAULT_GOAL := help
.PHONY: help setup demo demo-down test slow lint format types layers unit contract faults cluster-test e2e cluster-up cluster-down \
        images bench soak rollouts lock clean

help: ## List the verbs
	@awk 'BEGIN {FS = ":.*## "} /^[a-z0-9-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.complete ## Make .venv with everything that is locked in requirements/dev.txt

$(VENV)/.complete: requirements/dev.txt requirements/bootstrap.txt checks/setup.sh
	@PYTHON=$(PYTHON) VENV=$(VENV) checks/setup.sh
	@touch $@

demo: setup ## The whole story on a real Kubernetes (the first command of the README)
	@$(BIN)/python -m demo

demo-down: setup ## Take the demo's cluster away
	@$(BIN)/python -m demo down

test: setup ## Every check that is done in minutes, on real parts (the second; CI runs it)
	@$(BIN)/python -m checks

slow: setup ## The other ones: further stories on pods, further contracts (CI runs them, too)
	@$(BIN)/python -m checks --slow

lint: setup ## Style, formatting, layers: as fast as a breath
	@$(BIN)/python -m checks lint layers

format: setup ## Put the code into shape
	@$(BIN)/ruff check --fix --quiet . && $(BIN)/ruff format --quiet .

types: setup ## mypy, strict
	@$(BIN)/python -m checks types

layers: setup ## The import contracts of the architecture
	@$(BIN)/python -m checks layers

unit: setup ## Tests that need nothing but Python
	@$(BIN)/python -m checks unit

contract: setup ## Tests against a real API server, MLflow, S3, Git and registry (no root, no pods)
	@$(BIN)/python -m checks contract stores controllers states slow-contract

faults: setup ## Every fault we can name, on a strict API server of our own
	@$(BIN)/python -m checks faults sieve views

cluster-test: setup ## Tests of the local cluster itself
	@$(BIN)/python -m checks cluster slow-cluster

e2e: setup ## The whole demo, its faults and bad input, as assertions on real pods
	@$(BIN)/python -m checks e2e slow-e2e

soak: setup ## All faults without exception, and an hour of random ones beside, into docs/reliability.md (SOAK_MINUTES=60)
	@FAULTS=all $(BIN)/python -m checks --soak

rollouts: setup ## 35 rollouts, failing canaries and rollbacks on real pods, into docs/reliability.md (~1 h)
	@$(BIN)/python -m tests.rollouts --write-docs

bench: setup ## Every performance figure, up to 10,000 resources, into docs/performance.md (a quiet machine, ~45 min)
	@$(BIN)/python -m bench --full --write-docs

cluster-up: setup ## Start the local cluster `tandem` (kind where Docker is, the embedded one elsewhere)
	@$(BIN)/python -m cluster up

cluster-down: setup ## Take it away, and leave nothing of it
	@$(BIN)/python -m cluster down

images: setup ## Build the operator's and the runtime's image
	@$(BIN)/python -m cluster build-image --target operator --tag tandem/operator:dev
	@$(BIN)/python -m cluster build-image --target runtime --tag tandem/runtime:dev

lock: setup ## Lock the dependencies again: requirements/*.in → *.txt, with hashes
	@PATH="$(CURDIR)/$(BIN):$$PATH" sh requirements/lock.sh

clean: ## Remove what the verbs above left in this folder (caches elsewhere stay)
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
