# Every task of the project, as one command each. `make` alone lists them.
.DEFAULT_GOAL := help
# Where it is set, every process would compile everything anew.
unexport PYTHONDONTWRITEBYTECODE
export PYTHON

bin := .venv/bin
fast_tests := $(wildcard src/bist_pipeline serving tests/unit tests/contract tests/leakage)

.PHONY: help
help:
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: env-run ## set everything up and run the main job through Airflow on a synthetic market
	@scripts/demo.sh

.PHONY: airflow-run
airflow-run: env-run ## the same with settings of your own: CONF='{"source": "files", "source_path": "prices.parquet"}'
	@scripts/airflow_run.sh "$$CONF"

.PHONY: serve
serve: env-run ## REST API and web pages on the published ranks
	@$(bin)/bist serve

.PHONY: up down status
up: env-$(if $(filter celery,$(SCALE)),celery,run) ## Airflow's UI, MLflow and the API, without containers (SCALE=celery: with workers)
	@scripts/services.sh up
down: env-run ## end everything that make up started, and nothing else
	@scripts/services.sh down
status: env-run ## is everything that make up started healthy?
	@scripts/services.sh status

.PHONY: secrets
secrets: ## write .env, the passwords that docker-compose.yaml asks for; see docs/en/containers.md
	@scripts/secrets.sh

.PHONY: backup smoke containers-test
backup: ## save the databases, the lake and the models of the running containers to var/backups/
	@scripts/backup.sh
smoke: env-run ## does the running system, in containers or by make up, do what people use it for?
	@$(bin)/python scripts/smoke.py
containers-test: env-dev ## build every image and run the whole compose file with podman; needs root and takes a while
	@scripts/containers_test.sh

.PHONY: docs audit licences backtest
docs: env-dev ## build the documentation as a site, in site/
	@NO_MKDOCS_2_WARNING=1 $(bin)/mkdocs build --quiet
audit: env-dev ## known holes of every package in the images
	@scripts/audit.sh
licences: env-dev ## docs/en/licences.md: the licence of every locked package
	@$(bin)/python scripts/licences.py
backtest: env-run ## test the model on the past of BIST_SOURCE, by default the synthetic market
	@$(bin)/bist backtest

.PHONY: test
test: env-dev lint ## set everything up, then lint, types and all tests
	@$(bin)/pytest --numprocesses 2 --dist loadfile # half of the time tests wait for other processes

.PHONY: check
check: env-dev lint ## the fast part: lint, types, and the tests that need no other process
	@$(bin)/pytest -m 'not slow and not integration' $(fast_tests)

.PHONY: lint
lint: env-dev
	@$(bin)/ruff check --quiet
	@$(bin)/ruff format --check --quiet
	@$(bin)/mypy --no-error-summary

.PHONY: drift-bars
drift-bars: env-dev ## simulate how often the drift checks are wrong and what they find: 20 minutes; fails on a missed bar
	@$(bin)/python -m benchmarks.drift_bars

.PHONY: lock
lock: ## compile locks/ from setup.cfg (UPGRADE=1: take the newest versions)
	@scripts/env.sh tools
	@scripts/lock.sh

.PHONY: clean
clean: ## remove .venv and caches; var/ holds data and stays
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist src/*.egg-info
	find . -name __pycache__ -not -path './var/*' -prune -exec rm -rf {} +

.PHONY: env-run env-celery env-dev
env-run:
	@scripts/env.sh run
env-celery:
	@scripts/setup_celery.sh
	@scripts/env.sh celery
env-dev:
	@scripts/setup_test.sh
	@scripts/env.sh dev
