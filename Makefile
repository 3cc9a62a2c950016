# `make demo` and `make test` each work alone on a machine with Python 3.11 to 3.13 and make.
PYTHON ?= python3
VENV ?= .venv
# Processes that share the test files; each takes up to 4 GB.
JOBS ?= 2
BIN := $(VENV)/bin

.PHONY: install demo test test-slow lint check docs clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python -e ".[dev]"
	touch $@

demo: install
	$(BIN)/graphdown demo

test: install
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile

test-slow: install
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile -m slow

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# All of these at once: fixtures are made once, and the plain tests fill the gaps of the slow ones.
check: lint
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder -m "slow or not slow"

docs: install
	$(BIN)/mkdocs build --strict
	@echo "The site: site/index.html"

clean:
	rm -rf $(VENV) site build dist *.egg-info
