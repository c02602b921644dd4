# Everything runs from the project's own virtual environment, made from the lock on first use.
LANDING ?=
WORKSPACE ?=
AS_OF ?=
FULL_REFRESH ?=
RETRY_HELD ?=
REPORT_LANGUAGE ?=
ACCEPT_HELD ?=
SERVING ?=
VERSION ?=
AUDIENCE ?=
CHANNEL ?=
BRAND ?=
PORT ?= 3000
SPARK_PORT ?= 10000
BI_PORT ?= 5439
POSTGRES ?=
WORKERS ?= 2
# Files of tests side by side, in the order of tests/conftest.py.
SIDE_BY_SIDE = --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder
SIZES ?= 1,10,50
MOST ?= 20
PYTHON := .venv/bin/python
SPARK_PYTHON := .venv-spark/bin/python
PARITY ?=

# No tool of ours calls home.
export DBT_SEND_ANONYMOUS_USAGE_STATS := false
export GX_ANALYTICS_ENABLED := false
export DO_NOT_TRACK := 1
export DAGSTER_DISABLE_TELEMETRY := yes

.PHONY: help run report export ui bi-up bi-down publish-postgres rollback test lint soak mutation bench clean lock setup \
	spark-up spark-down spark-land spark-build spark-report spark-smoke parity setup-spark
.DEFAULT_GOAL := help

help:  ## say what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' Makefile

run: setup  ## land, judge, build and publish (the demo world, or LANDING=folder)
	@$(PYTHON) -m orchestration run $(if $(LANDING),--landing "$(LANDING)") \
		$(if $(WORKSPACE),--workspace "$(WORKSPACE)") $(if $(AS_OF),--as-of $(AS_OF)) \
		$(if $(FULL_REFRESH),--full-refresh) $(if $(RETRY_HELD),--retry-held) \
		$(if $(REPORT_LANGUAGE),--language $(REPORT_LANGUAGE)) \
		$(if $(ACCEPT_HELD),--accept-held) $(if $(SERVING),--serving "$(SERVING)")

report: setup  ## write the newest day's health report again, without building data (REPORT_LANGUAGE=en)
	@$(PYTHON) -m orchestration report $(if $(LANDING),--landing "$(LANDING)") \
		$(if $(WORKSPACE),--workspace "$(WORKSPACE)") $(if $(REPORT_LANGUAGE),--language $(REPORT_LANGUAGE))

ui: setup  ## Dagster's web UI on localhost (PORT=3000)
	@$(PYTHON) -m orchestration ui --port $(PORT) $(if $(LANDING),--landing "$(LANDING)") \
		$(if $(WORKSPACE),--workspace "$(WORKSPACE)") $(if $(SERVING),--serving "$(SERVING)")

bi-up: setup  ## start PostgreSQL on loopback for BI tools and publish into it (BI_PORT=5439; needs the Debian package postgresql)
	@$(PYTHON) -m orchestration bi-up --port $(BI_PORT) $(if $(LANDING),--landing "$(LANDING)") \
		$(if $(WORKSPACE),--workspace "$(WORKSPACE)") $(if $(SERVING),--serving "$(SERVING)")

bi-down:  ## stop it; its data stays
	@$(PYTHON) -m orchestration bi-down $(if $(LANDING),--landing "$(LANDING)") \
		$(if $(WORKSPACE),--workspace "$(WORKSPACE)")

publish-postgres: setup  ## put what readers see into PostgreSQL: that of bi-up, or POSTGRES=postgresql://...
	@$(PYTHON) -m orchestration publish-postgres --port $(BI_PORT) $(if $(LANDING),--landing "$(LANDING)") \
		$(if $(WORKSPACE),--workspace "$(WORKSPACE)") $(if $(SERVING),--serving "$(SERVING)") \
		$(if $(POSTGRES),--postgres "$(POSTGRES)")

export: setup  ## write the list of AUDIENCE=name for CHANNEL=name (BRAND=one) into the workspace's exports
	@$(PYTHON) -m orchestration export "$(AUDIENCE)" "$(CHANNEL)" $(if $(BRAND),--brand "$(BRAND)") \
		$(if $(LANDING),--landing "$(LANDING)") $(if $(WORKSPACE),--workspace "$(WORKSPACE)")

rollback:  ## let readers see the version before (SERVING=folder, VERSION=name)
	@$(PYTHON) -m orchestration rollback "$(or $(SERVING),var/demo/serving)" $(VERSION)

test: lint  ## prove it: lint, docs, then every test
	@scripts/step "dbt docs" .venv/bin/dbt --quiet docs generate --static --profiles-dir profiles
	@scripts/step "tests" $(PYTHON) -m pytest -q $(SIDE_BY_SIDE) --durations=8

lint: setup
	@scripts/step "ruff" sh -c '.venv/bin/ruff check . && .venv/bin/ruff format --check .'
	@scripts/step "yamllint" .venv/bin/yamllint --strict .
	@scripts/step "dbt parse, warnings are errors" .venv/bin/dbt --quiet --warn-error parse --no-partial-parse --profiles-dir profiles
	@scripts/step "sqlfluff" .venv/bin/sqlfluff lint --disable-progress-bar --processes 2 models analyses tests/dbt

soak: setup  ## the long suites: every day of a real landing as a refresh of its own, 5,000 random histories
	@QUANYU_SOAK=1 scripts/step "long tests" $(PYTHON) -m pytest -v -m soak $(SIDE_BY_SIDE) --durations=0 --durations-min=60

mutation: setup  ## change the models in small ways and see whether the checks notice (MOST=20 mutants per model); writes docs/mutation.md
	@$(PYTHON) -m tests.mutation --most $(MOST) --workers $(WORKERS)
	@# A group chooses mutants of its own; those that live, the others may notice.
	@$(PYTHON) -m tests.mutation --most $(MOST) --workers $(WORKERS) --again

bench: setup  ## measure the whole job beside the load floor (SIZES=1,10,50 million touch-points)
	@$(PYTHON) bench/job.py --sizes $(SIZES)

spark-up: setup-spark  ## start a Spark cluster on loopback: master, two workers, Thrift server (SPARK_PORT=10000; needs Java 17)
	@PYTHON=$(SPARK_PYTHON) QUANYU_SPARK_PORT=$(SPARK_PORT) scripts/spark up

spark-down:  ## stop it; its tables stay
	@QUANYU_SPARK_PORT=$(SPARK_PORT) scripts/spark down

spark-land: setup-spark  ## take LANDING into the lake of WORKSPACE (var/demo) and judge it, without a build on DuckDB
	@QUANYU_WORKSPACE=$(abspath $(or $(WORKSPACE),var/demo)) $(SPARK_PYTHON) -m orchestration.spark land "$(LANDING)"

spark-build: setup-spark  ## build what WORKSPACE (var/demo) has landed on that cluster instead of on DuckDB
	@QUANYU_WORKSPACE=$(abspath $(or $(WORKSPACE),var/demo)) QUANYU_SPARK_PORT=$(SPARK_PORT) $(SPARK_PYTHON) -m orchestration.spark \
		build --exclude-resource-type test unit_test $(if $(FULL_REFRESH),--full-refresh)

spark-report: setup-spark  ## write the health report of what Spark has built for WORKSPACE (REPORT_LANGUAGE=en)
	@QUANYU_WORKSPACE=$(abspath $(or $(WORKSPACE),var/demo)) QUANYU_SPARK_PORT=$(SPARK_PORT) $(SPARK_PYTHON) -m orchestration.spark \
		report $(REPORT_LANGUAGE)

parity: setup-spark  ## build on both engines, compare every public table (PARITY=name LANDING=folder; DAYS, KILL, WORKERS: scripts/parity)
	@PYTHON=$(SPARK_PYTHON) scripts/parity $(or $(PARITY),demo) $(if $(LANDING),"$(LANDING)")

spark-smoke: setup-spark  ## the same for a handful of people, as CI does it; docs/engines.md stays as it is
	@PYTHON=$(SPARK_PYTHON) PEOPLE=50 SPAN=30 DOCS=0 scripts/parity smoke

setup-spark: .venv-spark/lock

.venv-spark/lock: .venv/lock requirements-spark.lock scripts/setup
	@BASE=.venv VENV=.venv-spark LOCK=requirements-spark.lock scripts/setup

setup: .venv/lock

.venv/lock: requirements.lock scripts/setup
	@scripts/setup

lock: setup  ## compile requirements.in and requirements-spark.in into their locks again
	@$(PYTHON) -m pip install -q uv
	@.venv/bin/uv pip compile -q requirements.in -p 3.11 --universal --no-strip-extras --generate-hashes \
		--no-header --no-annotate --no-emit-index-url --no-emit-find-links -o requirements.lock
	@.venv/bin/uv pip compile -q requirements-spark.in -p 3.11 --universal --no-strip-extras --generate-hashes \
		--no-header --no-annotate --no-emit-index-url --no-emit-find-links -o requirements-spark.lock

clean:  ## remove what the above made
	@git clean -fdXq -e '!.venv' -e '!.venv-spark' var target logs .pytest_cache .ruff_cache 2>/dev/null || true
	@rm -rf .venv .venv-spark target logs .pytest_cache .ruff_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
