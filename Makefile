SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

BIN := .venv/bin
PYTHON_FOLDERS := shared services deploy tests bench
MEMBERS := pyproject.toml uv.lock $(wildcard */pyproject.toml services/*/pyproject.toml deploy/*/pyproject.toml)
SETUP := .venv/.setup

# Where compiled modules may not be kept, each process compiles all that it imports: three seconds instead of one.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help setup demo up test test-long test-cluster test-nextcloud check bench docs chart image images secrets compose workflows

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(SETUP) ## Install everything into .venv, from the lock file (fetches uv if there is none)

$(SETUP): $(MEMBERS)
	.ci/uv sync --frozen
	@touch $@

demo: $(SETUP) ## Simulate a small flight and make its orthophoto, in build/demo
	rm -rf build/demo
	$(BIN)/flightline simulate flight build/demo/flight
	$(BIN)/flightline run build/demo/flight --out build/demo/out

up: $(SETUP) ## Run all services in one process, on the embedded backends
	$(BIN)/flightline up

test: $(SETUP) ## Run the default tests
	$(BIN)/pytest -q -ra -m "not long" --numprocesses 4 --dist worksteal

test-long: $(SETUP) ## Run the tests that take minutes
	$(BIN)/pytest -q -ra -m long

test-cluster: $(SETUP) ## Run on the cluster of KUBECONFIG what can be tried on a real one
	@if [ -z "$${KUBECONFIG:-}" ]; then \
		echo "test-cluster: SKIPPED, nothing was tried on a real cluster: KUBECONFIG is not set"; \
	else \
		FLIGHTLINE_TEST_KUBECONFIG="$$KUBECONFIG" $(BIN)/pytest -q -ra --maxfail=1 -k real-cluster tests/odm_gateway/argo tests/deploy/helm; \
	fi

test-nextcloud: $(SETUP) ## Run on the Nextcloud of NEXTCLOUD_URL, as USER with APP_PASSWORD, what can be tried on a real one
	@if [ -z "$${NEXTCLOUD_URL:-}" ]; then \
		echo "test-nextcloud: SKIPPED, nothing was tried on a real Nextcloud: NEXTCLOUD_URL is not set"; \
	else \
		FLIGHTLINE_TEST_NEXTCLOUD_URL="$$NEXTCLOUD_URL" FLIGHTLINE_TEST_NEXTCLOUD_USER="$${USER:?}" \
		FLIGHTLINE_TEST_NEXTCLOUD_APP_PASSWORD="$${APP_PASSWORD:?}" \
		$(BIN)/pytest -q -ra --maxfail=1 -k real-nextcloud tests/shared/dav tests/mover tests/scaler tests/journeys; \
	fi

check: $(SETUP) ## Check formatting, lint, types, imports between packages, lock file and generated pages
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy $(PYTHON_FOLDERS)
	$(BIN)/lint-imports
	.ci/uv lock --check
	$(BIN)/python -m flightline.docs --check
	$(BIN)/python -m flightline.chart --check

bench: $(SETUP) ## Measure speed and memory
	for name in bus state objects engine pipeline gateway ingest discovery scaler mover datalab datalab_resampling datalab_photometry datalab_api scale; do $(BIN)/python -m "bench.$$name"; done

docs: $(SETUP) ## Write anew what is generated: events, settings, schemas, AsyncAPI, samples of this release, the chart's
	$(BIN)/python -m flightline.docs
	$(BIN)/python -m tests.support.released
	$(BIN)/python -m flightline.chart

chart: $(SETUP) ## Render the chart with every profile, offline, and check every object of it
	$(BIN)/python -m flightline.chart --check
	$(BIN)/pytest -q -ra tests/deploy/helm

IMAGES := discovery ingest scaler mover datalab odm-gateway flightline
IMAGE = flightline/$(SERVICE):0.1.0

image: ## Build the image of SERVICE by Docker
	docker build --file deploy/Dockerfile --build-arg SERVICE="$${SERVICE:?of: $(IMAGES)}" \
		--build-arg REVISION="$$(git rev-parse HEAD)" --build-arg CREATED="$$(git show --no-patch --format=%cI HEAD)" \
		--tag "$(IMAGE)" .

images: ## Build the images of all services by Docker
	for service in $(IMAGES); do $(MAKE) image SERVICE="$$service"; done

secrets: ## Choose the secrets of compose.yaml and keep them in .env, once
	@test -e .env || (umask 077 && for name in FLIGHTLINE_TOKEN FLIGHTLINE_INTERNAL_TOKEN RABBITMQ_PASSWORD MONGODB_PASSWORD S3_SECRET_KEY; do \
		echo "$$name=$$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')"; done > .env)

compose: secrets ## Run everything in containers, by Docker
	docker compose up --build

workflows: ## Check the public workflows (fetches zizmor; actionlint and shellcheck where they are installed)
	.ci/uv tool run zizmor==1.32.0 --offline .github/workflows
	if command -v actionlint > /dev/null; then actionlint; fi
	if command -v shellcheck > /dev/null; then shellcheck .github/scripts/*; fi
