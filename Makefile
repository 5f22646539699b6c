# `make demo` and `make test` are all most people need. Both make the virtual environment .venv first, once.
# PYTHON=/path/to/python3 names the interpreter to make it with.

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test lint layout types imports tests format clean environment

BIN := .venv/bin
STEP := scripts/step.sh

export PYTHON

# The installation compiles nothing; what is imported is compiled once and kept, whatever the caller's shell prefers.
unexport PYTHONDONTWRITEBYTECODE

help:  ## list these targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/\1|\2/p' Makefile | while IFS='|' read -r target what; do \
	    printf '  make %-9s %s\n' "$$target" "$$what"; done

demo:  ## train a small language model for about a minute and sample from it
	@scripts/environment.sh demo
	@$(BIN)/recurra demo

test: lint layout types imports tests  ## run everything that continuous integration runs
	@printf '\nAll checks passed.\n'

lint: environment  ## ruff's rules
	@$(STEP) $@ $(BIN)/ruff check .

layout: environment  ## ruff's layout, checked and not changed
	@$(STEP) $@ $(BIN)/ruff format --check .

types: environment  ## mypy, strict, on the package
	@$(STEP) $@ $(BIN)/mypy --strict --package recurra

imports: environment  ## imports point down the house only
	@$(STEP) $@ $(BIN)/python scripts/check_imports.py

# One thread for each process: two workers with two threads each would fight over two cores.
tests: export OMP_NUM_THREADS = 1
tests: environment  ## the test suite, with the examples of the documents
	@$(STEP) $@ $(BIN)/python -m pytest --numprocesses 2 --durations 10

format: environment  ## lay out the code and mend what ruff can mend
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

clean:  ## remove the environment and every cache; runs/ stays
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests scripts -type d -name __pycache__ -prune -exec rm -rf {} +

environment:
	@scripts/environment.sh test
