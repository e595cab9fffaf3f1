# One place for what people and machines run here. `make help` lists it.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help demo test check bench install install-dev assets lock translations clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 16

demo: install ## a served school on http://localhost:8000 (PORT, DASK_HOME)
	@exec $(BIN)/dask-platform demo

test: install-dev ## every test, against real services
	@tools/need-services.sh
	@$(BIN)/python -m pytest -n auto --dist loadfile $(TESTS)

check: install-dev ## style, types, layers, translations, migrations
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python tools/translations.py check
	@$(BIN)/python tools/check_migrations.py

bench: install-dev ## the figures, each beside its yardstick (PARTS=broker)
	@tools/need-services.sh nginx squid
	@for one in mitmproxy pywb; do $(MAKE) -s $(VENV)/bench-$$one/.installed \
	  || echo "$$one cannot be installed here: its figures are left out" >&2; done
	@$(BIN)/python -m tools.bench $(PARTS)

# Yardsticks whose libraries agree neither with ours nor with each other's.
$(VENV)/bench-%/.installed: requirements-bench-%.txt | $(VENV)/bin/python
	@echo "installing $* to measure beside (hash-locked) ..."
	@$(BIN)/python -m venv $(VENV)/bench-$*
	@$(VENV)/bench-$*/bin/pip install --quiet --require-hashes -r $<
	@touch $@

install: $(VENV)/.installed assets

install-dev: $(VENV)/.installed-dev assets

assets: $(VENV)/.installed
	@$(BIN)/python tools/fetch_assets.py
	@$(BIN)/python tools/translations.py compile

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed: PYTHON=python3.12 make demo" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: requirements.txt pyproject.toml | $(VENV)/bin/python
	@echo "installing the platform's libraries (hash-locked) ..."
	@$(BIN)/pip install --quiet --require-hashes -r requirements.txt
	@command -v npm >/dev/null || $(BIN)/pip install --quiet --require-hashes -r requirements-node.txt
	@$(BIN)/python tools/link_package.py
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	@echo "installing what the tests need (hash-locked) ..."
	@$(BIN)/pip install --quiet --require-hashes -r requirements-dev.txt
	@touch $@

lock: $(VENV)/.installed-dev ## write the lock files anew from pyproject.toml
	@tools/lock.sh

translations: $(VENV)/.installed-dev ## bring the catalogues in step with the sentences in the code
	@$(BIN)/python tools/translations.py update

clean: ## remove what was built; the demo's data stays
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis node_modules \
	  dask_platform/web/static/vendor
	@find . -name '*.mo' -not -path './.git/*' -delete
