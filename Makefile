# Each target does its own set-up: a second call reuses .venv.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test check docs

demo: .venv/ready
	$(BIN)/python -m scripts.demo

test: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q -n 2 --dist worksteal

check: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q -m "not slow" -n 2 --dist worksteal

docs: .venv/ready
	$(BIN)/sphinx-build -q -W --keep-going docs docs/_build
	@echo docs/_build/index.html

.venv/ready: setup.cfg pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; name one: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -c constraints.txt torch==2.13.0
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[test]'
	touch $@
