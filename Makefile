# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
LOWEST := .venv-lowest
DEMO := runs/demo
export TF_CPP_MIN_LOG_LEVEL ?= 3

.PHONY: demo test test-slow faults lowest lock notebooks docs lint venv clean

venv: $(VENV)/.installed

$(VENV)/.installed: setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "error: Python 3.11 or newer is needed; name one with PYTHON=/path/to/python3.11"; exit 2; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || \
		{ echo "error: $(PYTHON) lacks the venv module; on Debian: apt-get install python3-venv"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing tf_e2egrec and what it needs into $(VENV) (about 2 GB, a minute or two) ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

demo: venv
	@test -d $(DEMO)/data || $(BIN)/e2egrec synthesize $(DEMO)/data
	@$(BIN)/e2egrec run $(DEMO)/data/dataset.yaml --out $(DEMO)/run --predict

test: venv
	@$(BIN)/python -m pytest -m "not slow" -n 2

test-slow: venv
	@$(BIN)/python -m pytest -m slow --ignore=tests/faults
	@FAULTS_SHARE=0.5 $(BIN)/python -m pytest -m slow tests/faults -n 2 --dist worksteal

faults: venv
	@$(BIN)/python -m pytest tests/faults -n 2 --dist worksteal

# The lowest versions that setup.cfg allows, in an environment of their own; TESTS=PATHS for a part of the tests.
lowest:
	@test -x $(LOWEST)/bin/python || $(PYTHON) -m venv $(LOWEST)
	@$(LOWEST)/bin/pip install --quiet --disable-pip-version-check uv
	@$(LOWEST)/bin/uv pip install --quiet --python $(LOWEST)/bin/python --resolution lowest-direct -e '.[dev]'
	@$(LOWEST)/bin/python -m pytest -m "not slow" -n 2 $(TESTS)

lock: venv
	@echo "# Versions that the tests ran with; made by \`make lock\`. To install with them: pip install -c requirements.lock ." > requirements.lock
	@$(BIN)/pip freeze --all --exclude-editable --exclude pip >> requirements.lock

notebooks: venv
	@$(BIN)/python -m pytest --nbmake --nbmake-timeout=1800 --timeout=1800 notebooks

docs: venv
	@$(BIN)/mkdocs build --strict

lint: venv
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

clean:
	rm -rf $(VENV) $(LOWEST) $(DEMO) build dist site *.egg-info
