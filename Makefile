# What a developer or a first visitor types; every target is also what CI runs.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
# The cluster is made of namespaces, mounts and cgroups: where root runs it, `make test` takes its tests too.
CLUSTER ?= $(if $(filter 0,$(shell id -u)),1)
export CLUSTER
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header pyproject.toml

.PHONY: help demo demo-agent setup agent-env check format lint test test-tools test-agent test-all-pythons images \
        cluster-up cluster-down cluster-status cluster-images cluster-ahead test-cluster soak lock crds chart \
        bench-measurement bench-stopping bench-local-pipeline bench-probe bench-agent bench-operator bench-install clean

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

demo-agent: .venv-demo/.ready agent-env  ## Let the real OpenHands attempt real commits, with a scripted model.
	PYTHONPATH=tests .venv-demo/bin/python scripts/demo/demo_agent.py

.venv-agent/.ready: requirements/agent.txt scripts/agent_env.py
	$(BIN)/python scripts/agent_env.py
	@touch $@

agent-env: setup .venv-agent/.ready  ## Make OpenHands' own environment (finds a Python from 3.12 on).

format: setup  ## Format the code.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: setup  ## Format, lint, types and layers.
	@scripts/part.sh format $(BIN)/ruff format --quiet --check .
	@scripts/part.sh lint $(BIN)/ruff check --quiet .
	@scripts/part.sh types $(BIN)/mypy
	@scripts/part.sh layers $(BIN)/lint-imports --no-cache

check: lint  ## The fast loop: about a minute, changes nothing.
	@scripts/part.sh "fast tests" $(BIN)/pytest -n 2 tests/unit

test: test-tools $(if $(CLUSTER),cluster-ahead) check test-all-pythons  ## Everything; the cluster's tests where root runs it (CLUSTER= leaves them out).
	@scripts/part.sh "integration tests" $(BIN)/pytest -n 2 --dist loadfile --durations=15 tests/integration
	@$(MAKE) --no-print-directory test-agent
	@scripts/part.sh "end-to-end tests" $(BIN)/pytest -n 2 --durations=15 tests/end_to_end
	@$(if $(CLUSTER),$(MAKE) --no-print-directory test-cluster,echo "left out: the cluster's tests, which need root: sudo make test-cluster")

test-tools: setup
	@scripts/part.sh "test tools" scripts/install_test_tools.sh
	@scripts/part.sh "prometheus" scripts/install_prometheus.sh

images:  ## Build the images by buildah, podman or docker (TAG, REGISTRY, BASE, BUILDER).
	scripts/build_images.sh

PROFILE ?= real
CLUSTER_COMMAND = cd tests && $(abspath $(BIN))/python -m cluster

cluster-up: setup  ## Start a real Kubernetes on this machine, in namespaces of its own (PROFILE=fake: fake nodes).
	@$(CLUSTER_COMMAND) up --profile $(PROFILE)

cluster-down: setup  ## End it; nothing is left behind.
	@$(CLUSTER_COMMAND) down --profile $(PROFILE)

cluster-status: setup  ## Say what runs, what is missing, and where things are.
	@$(CLUSTER_COMMAND) status --profile $(PROFILE)

cluster-images: setup  ## Build the images offline-capable for the test cluster, and load them if it is up.
	@$(CLUSTER_COMMAND) images

test-cluster: setup  ## The tests on the cluster; needs root. On another one: KUBECONFIG=... (REGISTRY, TAG, STORE).
	@scripts/test_cluster.sh $(BIN) $(if $(filter command,$(origin KUBECONFIG)),$(KUBECONFIG))

# Builds beside the other tests, and below them, what the cluster's tests would wait for.
cluster-ahead: setup
	@mkdir -p .work
	@nohup nice -n 15 sh -c '$(CLUSTER_COMMAND) build && $(abspath $(BIN))/python -m cluster images' >.work/ahead.log 2>&1 &

test-agent: agent-env  ## The agent with the real OpenHands, against a scripted provider.
	@scripts/part.sh "agent tests" $(BIN)/pytest -n 2 --durations=15 tests/agent

test-all-pythons: setup  ## The fast tests on every supported Python.
	@scripts/part.sh "fast tests on other Pythons" $(BIN)/python scripts/test_all_pythons.py

soak: agent-env  ## The long kill tests; writes docs/soak*.md.
	$(BIN)/python scripts/soak.py
	$(BIN)/python scripts/soak_agent.py
	$(BIN)/python scripts/soak_supervisor.py
	$(BIN)/python scripts/soak_operator.py

crds: setup  ## Write crds/ from the contracts, and the chart's copies.
	$(BIN)/python scripts/generate_crds.py
	$(BIN)/python scripts/generate_chart.py

chart: setup  ## Write what the chart holds of crds/, values.yaml and scripts/dashboards.
	$(BIN)/python scripts/generate_chart.py
	$(BIN)/python scripts/generate_dashboards.py

lock: setup  ## Write requirements/ from pyproject.toml.
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --group bootstrap -o requirements/bootstrap.txt
	$(COMPILE) -o requirements/runtime.txt
	$(COMPILE) --extra operator --extra s3 -o requirements/operator.txt
	$(COMPILE) --extra s3 --extra publish -o requirements/worker.txt
	$(COMPILE) --all-extras --group dev -o requirements/dev.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.12 --generate-hashes --no-header \
		--overrides requirements/agent-overrides.in requirements/agent.in -o requirements/agent.txt

bench-measurement: setup  ## False and found verdicts under three loads (up to an hour; resumable).
	$(BIN)/python scripts/bench/measurement.py

bench-stopping: setup  ## The stopping rule, simulated.
	$(BIN)/python scripts/bench/stopping.py

bench-local-pipeline: setup  ## Cost per item beside the old flow.
	$(BIN)/python scripts/bench/local_pipeline.py

bench-agent: setup  ## What the gateway and the supervisor add to an agent's step.
	$(BIN)/python scripts/bench/agent_overhead.py

bench-operator: setup  ## The operator beside a bare client, on fake nodes (an hour and a half; needs root).
	$(BIN)/python scripts/bench/operator_scale.py --items 300x3,1000x2,5000 --claims shared --limits raised
	$(BIN)/python scripts/bench/operator_scale.py --items 300x2,1000 --claims own --limits raised
	$(BIN)/python scripts/bench/operator_scale.py --items 100 --claims shared --limits default
	$(BIN)/python scripts/bench/operator_scale.py --restart 10000

bench-install: setup  ## From `helm install` to the first record, on a test cluster of its own (needs root).
	$(BIN)/python scripts/bench/first_record.py

bench-probe: setup  ## The probe's cost per sample beside a bare fork and exec.
	$(BIN)/python scripts/bench/probe_overhead.py

clean:  ## Remove environments and caches of development; datasets stay.
	rm -rf $(VENV) .venv-demo .venv-agent .work .mypy_cache .pytest_cache .ruff_cache .hypothesis
