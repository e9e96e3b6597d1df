# Needs Python 3.11 or later, GNU make and a POSIX shell. Installs everything else into .venv, in
# the exact versions of constraints.txt.

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# Build tools are installed once instead of for each build, so that the project can be installed
# again without a network.
INSTALL := $(PIP) install --constraint constraints.txt --no-build-isolation
TESTS :=
# Number of processes that run tests side by side: one more than the cores of this machine, at most 4.
JOBS := $(shell sh scripts/jobs)
# A group (one server, one cluster) and the fixtures of a module stay in one process.
PYTEST = TMAPI_TEST_POSTGRES=$$(sh scripts/have postgres) TMAPI_TEST_CHROMIUM=$$(sh scripts/have chromium) \
	TMAPI_TEST_GATEWAYS=$$(sh scripts/have gateways) TMAPI_TEST_MOTO=$$(sh scripts/have moto) \
	TMAPI_TEST_REDIS=$$(sh scripts/have redis) \
	$(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadgroup
BENCH :=

.DEFAULT_GOAL := help
.PHONY: help demo pictures test test-fast coverage lint types docs site dist bench bench-check test-all test-lowest clean

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.run ## Run a harvest from a local sandbox, no token needed
	@$(BIN)/python scripts/demo.py

pictures: $(VENV)/.dev ## Record the demo (docs/img/demo.svg), photograph the report (report-*.png)
	@$(BIN)/python scripts/record_terminal.py docs/img/demo.svg --columns 100 --rows 30 \
		--title "make demo: a harvest that is killed and goes on" -- $(BIN)/python scripts/demo.py
	@$(BIN)/python scripts/report_pictures.py

test: $(VENV)/.dev ## Run all tests but those of `make docs` (TESTS=... to choose)
	@echo "==> tests"
	@$(PYTEST) -m "not docs" $(TESTS)

test-fast: $(VENV)/.dev ## Run the tests that start no processes, servers or browsers (under a minute)
	@echo "==> fast tests"
	@$(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadgroup -m "not slow" $(TESTS)

# On Python 3.12 and later the interpreter counts lines itself, at a tenth of the cost.
coverage: $(VENV)/.dev ## Run all tests and fail if they run too few lines of the package
	@echo "==> tests with coverage"
	@COVERAGE_CORE=$$($(BIN)/python -c 'import sys; print("sysmon" if sys.version_info >= (3, 12) else "ctrace")') \
		$(PYTEST) -m "not docs" --cov --cov-report=term $(TESTS)

lint: $(VENV)/.dev ## Check style, formatting and the direction of imports
	@echo "==> ruff"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@echo "==> import-linter"
	@$(BIN)/lint-imports --no-cache
	@echo "==> style"
	@$(BIN)/python scripts/check_style.py

types: $(VENV)/.dev ## Check types with mypy --strict, for Unix and for Windows
	@echo "==> mypy"
	@$(BIN)/mypy
	@$(BIN)/mypy --platform win32 --package tmapi_async

docs: site $(VENV)/.dev ## Build the documentation into site/; run every block that it shows, from the wheel
	@echo "==> blocks of the documentation"
	@$(PYTEST) -m docs tests/docs

site: $(VENV)/.docs ## Build the documentation into site/ (strict: a dead link or an old figure fails)
	@echo "==> mkdocs"
	@$(BIN)/python -m benchmarks.check_committed
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@$(BIN)/python scripts/check_site.py site
	@echo "built: site/index.html"

bench: $(VENV)/.dev ## Run the benchmarks (BENCH="client peers --quick" to choose)
	@$(BIN)/python -m benchmarks $(BENCH)

bench-check: $(VENV)/.dev ## Compare the ratios of short benchmarks with the committed ones
	@echo "==> benchmarks"
	@$(BIN)/python -m benchmarks --quick --check

dist: $(VENV)/.dev ## Build sdist and wheel into dist/; test the sdist, run the installed wheel
	@sh scripts/dist-check $(BIN)/python dist

test-all: ## Run the tests on each installed Python of 3.11, 3.12 and 3.13
	@sh scripts/test-on 3.11 3.12 3.13

test-lowest: ## Run the tests with the oldest versions that pyproject.toml allows
	@sh scripts/test-lowest $(TESTS)

clean: ## Remove all generated files
	rm -rf $(VENV) .venvs .coverage .coverage.* build demo dist site .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Stamps: each records that a set is installed. A stamp older than its sources is made again, which
# takes a second if nothing has changed.

$(VENV)/.made: scripts/pythons
	@sh scripts/make-venv $(VENV)
	@touch $@

$(VENV)/.run: $(VENV)/.made pyproject.toml constraints.txt
	@echo "==> installing tmapi-async, and what its exports and reports need, into $(VENV)"
	@$(PIP) install --constraint constraints.txt hatchling editables
	@$(INSTALL) --editable ".[export,report]"
	@touch $@

$(VENV)/.dev: $(VENV)/.made pyproject.toml constraints.txt
	@echo "==> installing tmapi-async, its dependencies and the test tools into $(VENV)"
	@$(PIP) install --constraint constraints.txt hatchling editables
	@$(INSTALL) --editable ".[dev]"
	@touch $(VENV)/.run $@

$(VENV)/.docs: $(VENV)/.made pyproject.toml constraints.txt
	@echo "==> installing the documentation tools into $(VENV)"
	@$(PIP) install --constraint constraints.txt hatchling editables
	@$(INSTALL) --editable ".[docs,export]"
	@touch $@
