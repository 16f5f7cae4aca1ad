# make demo   lint examples/ and write an HTML and a Markdown report
# make test   install what the tests need and run them
# make check  everything a change has to pass
# make docs   write docs/rules/ and the output shown in README.md anew
# make bench  time convlint here
# make clean  take away .venv, caches and reports
# PYTHON=...       the interpreter that .venv is made from (3.11 or newer)
# CONSTRAINTS=...  the pins to install under
# TORCH=...        another torch than the pinned one, with pins that leave it free

PYTHON ?= python3
CONSTRAINTS ?= constraints.txt
TORCH ?= torch
PYTEST_ARGS ?= -n 2

VENV = .venv
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip install --disable-pip-version-check -c $(CONSTRAINTS)
RUNTIME = $(VENV)/.runtime-installed
TESTING = $(VENV)/.testing-installed
HTML = convlint-report.html
MARKDOWN = convlint-report.md

.PHONY: help demo test check lint coverage docs bench clean

help:
	@sed -n '/^$$/q; s/^# //p' Makefile

demo: $(RUNTIME)
	@$(BIN)/convlint examples/ --report html=$(HTML) --report markdown=$(MARKDOWN); code=$$?; \
	if [ $$code -gt 1 ]; then echo "make demo: convlint exited with $$code" >&2; exit $$code; fi
	@echo "reports: $(CURDIR)/$(HTML) $(CURDIR)/$(MARKDOWN)"

test: $(TESTING)
	$(BIN)/python -m pytest $(PYTEST_ARGS)

check: lint coverage

lint: $(TESTING)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/update.py --check

# The tests, measured in their child processes too; the bar stands in pyproject.toml.
coverage: $(TESTING)
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest $(PYTEST_ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

docs: $(RUNTIME)
	$(BIN)/python docs/update.py

bench: $(TESTING)
	@for file in benchmarks/bench_*.py; do \
		if [ -e "$$file" ]; then $(BIN)/python "$$file" || exit 1; fi; \
	done

clean:
	rm -rf $(VENV) dist build $(HTML) $(MARKDOWN) .coverage .coverage.*
	rm -rf .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .convlint_cache

# The first interpreter that is new enough, PYTHON before the others.
$(BIN)/python:
	@for python in $(PYTHON) python3.13 python3.12 python3.11; do \
		if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			echo "making $(VENV) with $$("$$python" --version)"; \
			"$$python" -m venv $(VENV) && exit 0; \
			rm -rf $(VENV); exit 1; \
		fi; \
	done; \
	echo "convlint needs Python 3.11 or newer, and neither $(PYTHON) nor python3.11 to python3.13 is one; say which: make PYTHON=/path/to/python3.12" >&2; \
	exit 1

$(RUNTIME): pyproject.toml $(CONSTRAINTS) | $(BIN)/python
	$(PIP) '$(TORCH)' -e '.[torch]'
	@touch $@

$(TESTING): pyproject.toml $(CONSTRAINTS) | $(BIN)/python
	$(PIP) '$(TORCH)' -e '.[torch,dev,zoo,peers]'
	@touch $(RUNTIME) $@
