"""The Jobs of stages as a specification: what every pod must not have, and which container sees which secret."""

import json

import pytest

from building.items import spec
from building.objects import ITEM_UID, item
from isobench.contracts.base import InvalidInput
from isobench.contracts.configuration import Configuration
from isobench.contracts.status import CommitBenchmarkStatus, StageName
from isobench.controller.item import Item
from isobench.controller.jobs.names import job_name
from isobench.controller.jobs.stages import Addresses, Asked, stage_job
from isobench.controller.jobs.volumes import claim
from isobench.controller.settings import ControllerSettings
from isobench.engine.facts import Start

PREPARE, GENERATE, VALIDATE, AGENT, BUILD_AGENT, TIMING, COLLECT = StageName
SETTINGS = ControllerSettings(canary_address="canary.isobench.svc:8080", image_pull_secrets=("registry",))
OPENAI = Configuration.model_validate({"llm": {"provider": "openai", "api_key_env": "OPENAI_API_KEY"}})
EVERYTHING = {
    "repository": {"url": "https://host.example/owner/name.git", "credentialsSecretRef": {"name": "git"}},
    "mode": "online",
    "test": {"generate": {"provider": "openai", "secretRef": {"name": "generator"}}},
    "agent": {"enabled": True, "model": "gpt-4.1", "secretRef": {"name": "model", "key": "token"}},
    "inputs": {"uri": "s3://inputs/one.zip", "sha256": "0" * 64, "secretRef": {"name": "inputs"}},
}


def job_of(stage, *, settings=SETTINGS, attempt=1, status=None, **changes):
    asked = Asked(
        Item.read(item(**(EVERYTHING | changes))),
        Start(stage, attempt),
        status or CommitBenchmarkStatus(),
        "environment:1",
        Addresses("10.0.0.1:443", "10.0.0.2:8080"),
        OPENAI if stage in (GENERATE, AGENT) else None,
    )
    return stage_job(asked, settings)


def pod_of(stage, **changes):
    return job_of(stage, **changes)["spec"]["template"]["spec"]


def containers_of(stage, **changes):
    pod = pod_of(stage, **changes)
    return {container["name"]: container for container in pod["initContainers"] + pod["containers"]}


def secrets_of(stage, **changes):
    """Which container sees which Secret, by mount or by variable."""
    pod = pod_of(stage, **changes)
    volumes = {v["name"]: v["secret"]["secretName"] for v in pod["volumes"] if "secret" in v}
    seen = set()
    for name, container in containers_of(stage, **changes).items():
        seen |= {(name, volumes[mount["name"]]) for mount in container["volumeMounts"] if mount["name"] in volumes}
        for variable in container["env"]:
            if "valueFrom" in variable:
                seen.add((name, variable["valueFrom"]["secretKeyRef"]["name"]))
        assert "envFrom" not in container, "never more of a Secret than is needed"
    return seen


@pytest.mark.parametrize("stage", StageName)
def test_no_pod_has_rights_or_a_token_or_writes_to_its_image(stage):
    pod = pod_of(stage)
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    assert pod["securityContext"]["runAsUser"] == pod["securityContext"]["fsGroup"] == 10001
    assert not {"hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"} & set(pod)
    for container in containers_of(stage).values():
        security = container["securityContext"]
        assert security["runAsNonRoot"] is True
        assert security["readOnlyRootFilesystem"] is True
        assert security["allowPrivilegeEscalation"] is False
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        assert {"cpu", "memory"} <= set(container["resources"]["requests"])
        assert {"cpu", "memory"} <= set(container["resources"]["limits"])


@pytest.mark.parametrize(
    ("stage", "containers", "secrets"),
    [
        (PREPARE, ["inputs", "fetch", "environment", "stage"], {("inputs", "inputs"), ("fetch", "git")}),
        (GENERATE, ["stage"], {("stage", "generator")}),
        (VALIDATE, ["isolate", "environment", "stage"], set()),
        (AGENT, ["place", "gateway", "agent", "stage"], {("gateway", "model")}),
        (BUILD_AGENT, ["place", "environment", "stage"], set()),
        (TIMING, ["isolate", "environment", "stage"], set()),
        (COLLECT, ["stage"], {("stage", "store")}),
    ],
)
def test_each_stage_has_its_containers_and_only_the_one_that_needs_it_sees_a_secret(stage, containers, secrets):
    assert list(containers_of(stage)) == containers
    assert secrets_of(stage) == secrets


def test_an_agent_that_calls_no_model_has_no_gateway_and_no_key():
    agent = {"enabled": True, "kind": "command", "command": ["true"], "secretRef": {"name": "model"}}
    assert list(containers_of(AGENT, agent=agent)) == ["place", "agent", "stage"]
    assert secrets_of(AGENT, agent=agent) == set()


@pytest.mark.parametrize("stage", StageName)
def test_a_stage_is_started_once_and_ended_by_three_clocks_one_after_the_other(stage):
    job = job_of(stage)["spec"]
    pod = job["template"]["spec"]
    asked = json.loads(pod["containers"][0]["args"][1])
    assert pod["restartPolicy"] == "Never"
    assert (job["backoffLimit"], job["podReplacementPolicy"], job["ttlSecondsAfterFinished"]) == (0, "Failed", 86400)
    stage_clock = asked["item"]["deadline_seconds"]
    assert pod["activeDeadlineSeconds"] == stage_clock + SETTINGS.pull_seconds + 120
    assert job["activeDeadlineSeconds"] == pod["activeDeadlineSeconds"] + SETTINGS.pending_seconds


@pytest.mark.parametrize("stage", StageName)
def test_a_disruption_fails_a_free_stages_job_at_once_and_no_rule_ever_repeats_a_paid_one(stage):
    policy = job_of(stage)["spec"].get("podFailurePolicy")
    if stage in (GENERATE, AGENT):
        assert policy is None
    else:
        assert [rule["action"] for rule in policy["rules"]] == ["FailJob"]


def test_a_job_goes_with_its_item_and_never_holds_its_deletion_up():
    (owner,) = job_of(PREPARE)["metadata"]["ownerReferences"]
    assert (owner["uid"], owner["controller"], owner["blockOwnerDeletion"]) == (ITEM_UID, True, False)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("fix-123", "fix-123-build-agent-12-0a1b2c3d"),
        ("a" * 29 + "-" + "b" * 30, "a" * 29 + "-build-agent-12-0a1b2c3d"),
        ("v1.2", "v1-2-build-agent-12-0a1b2c3d"),
    ],
)
def test_a_jobs_name_says_whose_it_is_and_fits_a_label(name, expected):
    assert job_name(name, ITEM_UID, BUILD_AGENT, 12) == expected
    assert len(expected) <= 63


def test_what_is_labelled_can_be_found_by_item_batch_stage_and_controller():
    job = job_of(TIMING)
    labels = job["metadata"]["labels"]
    assert labels["isobench.dev/item"] == "fix-123"
    assert labels["isobench.dev/stage"] == "timing"
    assert labels["isobench.dev/controller"] == "isobench"
    assert labels.items() <= job["spec"]["template"]["metadata"]["labels"].items()


@pytest.mark.parametrize("stage", StageName)
def test_only_what_is_timed_has_no_network_and_a_node_to_itself(stage):
    template = job_of(stage)["spec"]["template"]
    isolated = stage in (VALIDATE, TIMING)
    labels = template["metadata"]["labels"]
    assert (labels.get("isobench.dev/network") == "none") is isolated
    assert (labels.get("isobench.dev/timing") == "exclusive") is isolated
    assert ("affinity" in template["spec"]) is isolated


def test_timing_may_share_its_node_when_the_item_says_so():
    template = job_of(TIMING, timing={"exclusive": False})["spec"]["template"]
    assert "affinity" not in template["spec"]
    assert "isobench.dev/timing" not in template["metadata"]["labels"]


@pytest.mark.parametrize("stage", [VALIDATE, TIMING])
def test_a_timing_pod_is_guaranteed_and_times_on_whole_cpus(stage):
    containers = containers_of(stage, timing={"cores": 3})
    for container in containers.values():
        assert container["resources"]["requests"] == container["resources"]["limits"]
    assert containers["environment"]["resources"]["limits"]["cpu"] == "3"


@pytest.mark.parametrize("cpu", ["500m", "1.5", "1", "0"])
def test_a_part_of_a_cpu_or_too_few_are_refused_in_a_sentence(cpu):
    with pytest.raises(InvalidInput, match="whole number"):
        job_of(TIMING, timing={"cores": 2, "resources": {"limits": {"cpu": cpu}}})


@pytest.mark.parametrize("stage", [PREPARE, VALIDATE, AGENT, BUILD_AGENT, TIMING])
def test_a_gpu_passes_by_its_resources_name_to_whatever_builds_attempts_or_times(stage):
    containers = containers_of(stage, environment={"resources": {"limits": {"nvidia.com/gpu": "1"}}})
    with_gpu = {name for name, found in containers.items() if "nvidia.com/gpu" in found["resources"]["limits"]}
    assert with_gpu == {"agent" if stage is AGENT else "environment"}


def test_a_request_above_the_default_limit_lifts_it():
    environment = containers_of(PREPARE, environment={"resources": {"requests": {"memory": "32Gi"}}})["environment"]
    assert environment["resources"]["requests"]["memory"] == "32Gi"
    assert "memory" not in environment["resources"]["limits"]


@pytest.mark.parametrize("stage", StageName)
def test_the_workspace_is_at_one_path_in_every_container(stage):
    pod = pod_of(stage)
    (volume,) = [v for v in pod["volumes"] if "persistentVolumeClaim" in v]
    assert volume["persistentVolumeClaim"]["claimName"] == claim(Item.read(item()), "isobench")["metadata"]["name"]
    for container in containers_of(stage).values():
        assert "/workspace" in [mount["mountPath"] for mount in container["volumeMounts"]]


def test_on_a_shared_claim_an_item_sees_its_own_directory_only():
    for stage in StageName:
        for container in containers_of(stage, workspace={"claimName": "shared"}).values():
            paths = [mount["subPath"] for mount in container["volumeMounts"] if mount["name"] == "workspace"]
            assert paths
            assert all(path.startswith(f"team-a/{ITEM_UID}") for path in paths)
    assert claim(Item.read(item(workspace={"claimName": "shared"})), "isobench") is None


BUILT = ["environments", "uv-cache", "pip-cache", "tmp"]


def writable(container, volume):
    """The folders of a volume that a container can write to; the volume itself it can read at least."""
    mounts = [mount for mount in container["volumeMounts"] if mount["name"] == volume]
    assert mounts[0].get("subPath", "") in ("", f"team-a/{ITEM_UID}")
    return [mount["mountPath"] for mount in mounts if not mount.get("readOnly", False)]


@pytest.mark.parametrize("workspace", [{}, {"claimName": "shared"}])
@pytest.mark.parametrize(
    ("stage", "folders"),
    [
        (PREPARE, BUILT),
        (VALIDATE, ["item/probe"]),
        (AGENT, ["agents"]),
        (BUILD_AGENT, [*BUILT, "item/probe", "agents"]),
        (TIMING, ["item/probe"]),
    ],
)
def test_a_foreign_container_can_write_to_the_folders_of_its_stage_and_to_its_runners_socket_only(
    stage, folders, workspace
):
    containers = containers_of(stage, workspace=workspace)
    foreign = containers.pop("agent" if stage is AGENT else "environment")
    assert writable(foreign, "workspace") == [f"/workspace/{folder}" for folder in folders]
    assert writable(foreign, "exchange") == ["/isobench/run"]
    assert foreign["command"][-1] == "/isobench/run/run.sock"
    for mount in foreign["volumeMounts"]:
        if mount["mountPath"] not in ("/workspace", "/isobench", "/scratch", "/dev/shm"):
            assert mount["subPath"].endswith(mount["mountPath"].split("/", 2)[2])
    for own in containers.values():
        assert (writable(own, "workspace"), writable(own, "exchange")) == (["/workspace"], ["/isobench"])


@pytest.mark.parametrize("stage", [PREPARE, VALIDATE, AGENT, BUILD_AGENT, TIMING])
def test_a_foreign_container_has_a_scratch_of_its_own(stage):
    containers = containers_of(stage)
    scratch = {
        name: mount["name"]
        for name, container in containers.items()
        for mount in container["volumeMounts"]
        if mount["mountPath"] == "/scratch"
    }
    foreign = scratch.pop("agent" if stage is AGENT else "environment")
    assert list(scratch) == [name for name in containers if name not in ("agent", "environment")]
    assert foreign not in scratch.values()
    volumes = {volume["name"]: volume for volume in pod_of(stage)["volumes"]}
    assert [volumes[name]["emptyDir"] for name in (foreign, *scratch.values())] == [{}] * (len(scratch) + 1)


def test_all_pods_of_an_item_fit_the_nodes_that_may_time_since_its_volume_stays_where_the_first_one_ran():
    timing = {"nodeSelector": {"pool": "quiet"}, "tolerations": [{"key": "quiet", "operator": "Exists"}]}
    for stage in StageName:
        pod = pod_of(stage, timing=timing)
        assert pod["nodeSelector"] == {"pool": "quiet"}
        assert {"key": "quiet", "operator": "Exists"} in pod["tolerations"]
    assert "nodeSelector" not in pod_of(PREPARE, timing=timing, workspace={"claimName": "shared"})
    assert "nodeSelector" in pod_of(TIMING, timing=timing, workspace={"claimName": "shared"})


def test_a_queue_admits_a_job_that_starts_suspended():
    job = job_of(PREPARE, queueName="benchmarks")
    assert job["spec"]["suspend"] is True
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "benchmarks"
    assert "suspend" not in job_of(PREPARE)["spec"]


def test_timing_may_have_another_priority_than_the_rest():
    settings = ControllerSettings(priority_class="low", timing_priority_class="high")
    assert pod_of(TIMING, settings=settings)["priorityClassName"] == "high"
    assert pod_of(PREPARE, settings=settings)["priorityClassName"] == "low"


def test_isolated_pods_are_told_addresses_that_need_no_name_server():
    asked = json.loads(containers_of(TIMING)["isolate"]["args"][1])
    assert (asked["api_server"], asked["canary"], asked["policy"]) == (
        "10.0.0.1:443",
        "10.0.0.2:8080",
        "isobench-timing",
    )


def test_collect_is_told_what_became_of_the_item_and_may_use_a_service_account_instead_of_keys():
    status = CommitBenchmarkStatus.parse({"cost": {"measuredUsd": 0.5}}, "a test")
    output = {"store": "s3://bucket", "serviceAccountName": "writer"}
    pod = pod_of(COLLECT, status=status, output=output)
    assert json.loads(pod["containers"][0]["args"][1])["status"]["cost"]["measured_usd"] == 0.5
    assert pod["serviceAccountName"] == "writer"
    assert secrets_of(COLLECT, output=output) == set()


def test_a_test_in_a_config_map_is_mounted_where_fetch_looks_and_nowhere_else():
    test = {"configMapKeyRef": {"name": "tests", "key": "fix.py"}}
    mounted = [
        name
        for name, container in containers_of(PREPARE, test=test).items()
        if "/inputs/test.py" in [mount["mountPath"] for mount in container["volumeMounts"]]
    ]
    assert mounted == ["fetch"]


def test_what_was_fetched_before_is_mounted_and_told_to_fetch_alone():
    cached = {"url": "https://host.example/owner/name.git", "cacheClaimName": "objects"}
    mounted = [
        name
        for name, container in containers_of(PREPARE, repository=cached).items()
        if "/cache" in [mount["mountPath"] for mount in container["volumeMounts"]]
    ]
    assert mounted == ["fetch"]
    assert json.loads(containers_of(PREPARE, repository=cached)["fetch"]["args"][1])["cache"] is True
    assert "cache" not in json.loads(containers_of(PREPARE)["fetch"]["args"][1])


def test_a_test_that_no_pod_can_be_told_is_refused_with_a_remedy():
    with pytest.raises(InvalidInput, match="ConfigMap"):
        job_of(PREPARE, test={"inline": "x" * 125_000})


def test_a_run_has_the_same_name_whenever_it_is_asked():
    one = Item.read(item(**EVERYTHING))
    assert one.run_id == "owner__name/openhands/gpt-4.1/2026-01-01_12-00-00"
    assert Item.read(item()).run_id == "owner__name/none/none/2026-01-01_12-00-00"


def test_a_store_on_one_machine_is_none_on_a_cluster():
    with pytest.raises(InvalidInput, match="s3://bucket/prefix"):
        Item.read(item(output={"store": "file://data"}))


def test_the_items_of_these_tests_are_what_the_contracts_take():
    assert spec(**EVERYTHING).agent.enabled
