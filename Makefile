# Two commands for people: make run, make test. The rest serves them.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
AXE := build/axe/node_modules/axe-core/axe.min.js

.PHONY: run demo test lint types model bench lock clean

run: $(READY)  ## start the filter with a Maildir behind it, and the page that shows what it did
	@$(BIN)/coop-verdict review & page=$$!; trap 'kill $$page 2>/dev/null' EXIT; $(BIN)/coop-verdict serve

demo: $(READY)  ## send the sample mails and show what they came out as
	@$(BIN)/python deploy/demo/demo.py

test: $(READY) $(if $(shell command -v npm),$(AXE)) lint types  ## everything that must hold
	$(BIN)/python -m pytest

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

model: $(READY)  ## fit a model from the corpus
	$(BIN)/coop-train fit

bench: $(READY)  ## this filter beside others that are installed (root; BENCH=--help)
	@$(BIN)/python tests/bench/throughput/compare.py $(BENCH)

# Everything is installed from the lock file, hashes checked; then this package itself, offline.
$(READY): requirements.lock pyproject.toml
	@echo "Setting up $(VENV) (once; takes about half a minute) ..."
	$(PYTHON) -c 'import sys; sys.exit("coop-verdict needs Python 3.11 or later" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --disable-pip-version-check --no-index --no-build-isolation --no-deps -e .
	@touch $@
	@echo "Set up."

# What looks the review page over in the tests. npm checks its hash, and runs nothing of it.
$(AXE): tests/harness/node/package-lock.json
	@mkdir -p build/axe
	@cp tests/harness/node/package.json tests/harness/node/package-lock.json build/axe
	npm ci --prefix build/axe --ignore-scripts --no-audit --no-fund
	@touch $@

lock:  ## resolve the dependencies anew (needs uv)
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --all-extras \
	    --custom-compile-command "make lock" pyproject.toml -o requirements.lock

clean:
	rm -rf $(VENV) var build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
