# What a developer or a first visitor types; every target is also what CI runs.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header pyproject.toml

.PHONY: help demo setup check format lint test test-all-pythons soak lock crds bench-measurement bench-stopping \
        bench-local-pipeline bench-probe clean

help:  ## Show the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  %-22s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.ready  ## Make the virtual environment with everything that development needs.

$(VENV)/.ready: pyproject.toml requirements/dev.txt requirements/bootstrap.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --require-hashes -r requirements/bootstrap.txt
	VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --compile-bytecode --require-hashes -r requirements/dev.txt
	VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --no-deps -e .
	$(BIN)/python -m compileall -q operator/isobench
	@touch $@

.venv-demo/.ready: pyproject.toml requirements/runtime.txt requirements/bootstrap.txt
	$(PYTHON) -m venv .venv-demo
	.venv-demo/bin/pip install --quiet --require-hashes -r requirements/bootstrap.txt
	VIRTUAL_ENV=.venv-demo .venv-demo/bin/uv pip install --quiet --compile-bytecode --require-hashes -r requirements/runtime.txt
	VIRTUAL_ENV=.venv-demo .venv-demo/bin/uv pip install --quiet --no-deps -e .
	.venv-demo/bin/python -m compileall -q operator/isobench
	@touch $@

demo: .venv-demo/.ready  ## Run the pipeline on real releases; no root, no container, no key.
	.venv-demo/bin/python scripts/demo/demo.py

format: setup  ## Format the code.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: setup
	@scripts/part.sh format $(BIN)/ruff format --quiet --check .
	@scripts/part.sh lint $(BIN)/ruff check --quiet .
	@scripts/part.sh types $(BIN)/mypy
	@scripts/part.sh layers $(BIN)/lint-imports --no-cache

check: lint  ## The fast loop: about a minute, changes nothing.
	@scripts/part.sh "fast tests" $(BIN)/pytest -n 2 tests/unit

test: check test-all-pythons  ## Everything that needs no root.
	@scripts/part.sh "test tools" scripts/install_test_tools.sh
	@scripts/part.sh "integration tests" $(BIN)/pytest -n 2 --durations=15 tests/integration
	@scripts/part.sh "end-to-end tests" $(BIN)/pytest -n 2 --durations=15 tests/end_to_end

test-all-pythons: setup  ## The fast tests on every supported Python that is here.
	@scripts/part.sh "fast tests on other Pythons" $(BIN)/python scripts/test_all_pythons.py

soak: setup  ## The long kill tests; writes docs/soak.md.
	$(BIN)/python scripts/soak.py

crds: setup  ## Write crds/ from the contracts.
	$(BIN)/python scripts/generate_crds.py

lock: setup  ## Write requirements/ from pyproject.toml.
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --group bootstrap -o requirements/bootstrap.txt
	$(COMPILE) -o requirements/runtime.txt
	$(COMPILE) --all-extras --group dev -o requirements/dev.txt

bench-measurement: setup  ## False and found verdicts under three loads (up to an hour; resumable).
	$(BIN)/python scripts/bench/measurement.py

bench-stopping: setup  ## The stopping rule, simulated.
	$(BIN)/python scripts/bench/stopping.py

bench-local-pipeline: setup  ## Cost per item beside the old flow.
	$(BIN)/python scripts/bench/local_pipeline.py

bench-probe: setup  ## The probe's cost per sample beside a bare fork and exec.
	$(BIN)/python scripts/bench/probe_overhead.py

clean:  ## Remove environments and caches of development; datasets stay.
	rm -rf $(VENV) .venv-demo .work .mypy_cache .pytest_cache .ruff_cache .hypothesis
