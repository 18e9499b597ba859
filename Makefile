# Every target is enough by itself on a fresh clone: it finds a Python, makes .venv and installs what it needs.

PYTHON ?=
BIN := .venv/bin

# Pyright comes complete from PyPI; this keeps it from asking there for a newer one.
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help demo test lint mutants bench clean
.DELETE_ON_ERROR:

help: ## Show this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile

demo: .venv/installed-demo ## Watch real events go through the buffer to a server on this machine
	$(BIN)/mida demo

test: .venv/installed-dev lint ## Run the static checks, then the tests with branch coverage
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n auto --dist worksteal
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report
	$(BIN)/coverage report --include='mida_async/_core/*,mida_async/destinations/*' --fail-under=100

lint: .venv/installed-dev ## Run the static checks alone: ruff, mypy, pyright
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy --strict
	$(BIN)/pyright

mutants: .venv/installed-dev ## Plant mistakes in copies of the engine, one at a time, and see that the tests find each
	$(BIN)/python tests/mutations.py

bench: .venv-bench/installed ## Run every script in benchmarks/ beside other libraries; write benchmarks/results/
	.venv-bench/bin/python benchmarks/_run.py

clean: ## Remove .venv, .venv-bench, caches and build results
	rm -rf .venv .venv-bench .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage .coverage.* build dist site *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bin/python .venv-bench/bin/python:
	@for python in $(or $(PYTHON),python3 python3.14 python3.13 python3.12 python3.11 python); do \
	    if "$$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	        echo "Making $(@D:/bin=) with $$("$$python" --version)"; exec "$$python" -m venv $(@D:/bin=); \
	    fi; \
	done; \
	echo "No Python 3.11 or newer with venv was found; install one, or name it: make PYTHON=/path/to/python3" >&2; exit 1

.venv/installed-demo: pyproject.toml | .venv/bin/python
	@echo "Installing mida_async into .venv (once)"
	@$(BIN)/python -m pip install --quiet --editable '.[cli]'
	@touch $@

# Dependency groups need pip 25.1, and a new .venv may have an older one.
.venv/installed-dev: pyproject.toml | .venv/bin/python
	@echo "Installing mida_async, the test tools and the linters into .venv (once)"
	@$(BIN)/python -m pip install --quiet 'pip>=25.1,<27'
	@$(BIN)/python -m pip install --quiet --editable '.[cli,speed]' --group test --group lint
	@touch $@ .venv/installed-demo

# The libraries that the benchmarks compare with are no business of the tests. One that cannot be installed here must not
# keep the others out: the table says that it is missing.
.venv-bench/installed: pyproject.toml | .venv-bench/bin/python
	@echo "Installing mida_async and what it is compared with into .venv-bench (once)"
	@.venv-bench/bin/python -m pip install --quiet 'pip>=25.1,<27'
	@.venv-bench/bin/python -m pip install --quiet --editable '.[speed]'
	@.venv-bench/bin/python -m pip install --quiet --group bench || .venv-bench/bin/python -c \
	    'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]["bench"], sep="\n")' | \
	    while read -r library; do \
	        .venv-bench/bin/python -m pip install --quiet "$$library" || echo "Not installed: $$library"; \
	    done
	@touch $@
