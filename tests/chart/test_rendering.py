"""The chart, rendered: what it makes is restricted and consistent, and values that make no sense are refused."""

import pytest

from building.chart import CHART, MONITORING, Refused
from isobench.controller.settings import settings_from

TEAM_A = {"namespace": "team-a", "create": True, "caps": {"dollars": 50, "runningItems": 20}, "quota": {"pods": "40"}}
TEAM_B = {"namespace": "team-b", "caps": {"dollars": 5}, "subjects": [{"kind": "Group", "name": "b"}]}
CLUSTER_KINDS = {"ClusterRole", "ClusterRoleBinding", "PriorityClass", "CustomResourceDefinition"}


def test_it_is_clean_for_helm(chart):
    assert "0 chart(s) failed" in chart.run("lint", "--strict", str(CHART))


def test_the_operator_takes_the_flags_that_it_is_given(chart):
    values = {
        "images": {"registry": "registry.example/team", "tag": "1.2.3", "pullSecrets": ["pull"]},
        "operator": {"workers": 4, "logFormat": "text", "apiServerAddress": "10.0.0.1:443"},
        "defaultCaps": {"dollars": 7.5, "runningItems": 3},
    }
    settings = settings_from(chart.objects(values).operator_arguments())
    assert settings.worker_image == "registry.example/team/isobench-worker:1.2.3"
    assert settings.image_pull_secrets == ("pull",)
    assert settings.namespaces == ()
    assert settings.manage_network_policy
    assert (settings.workers, settings.log_format, settings.api_server_address) == (4, "text", "10.0.0.1:443")
    assert (settings.release, settings.release_namespace, settings.identity) == ("isobench", "isobench", "operator-0")
    assert settings.timing_priority_class == "isobench-isobench-timing"


def test_a_digest_wins_over_a_tag(chart):
    digest = "sha256:" + "0" * 64
    values = {"images": {"tag": "1.2.3", "worker": {"digest": digest}}}
    settings = settings_from(chart.objects(values).operator_arguments())
    assert settings.worker_image == f"isobench-worker@{digest}"
    assert settings.environment_image == "isobench-environment:1.2.3"


def test_every_pod_is_restricted_and_says_what_it_needs(chart):
    pods = dict(chart.objects().pods())
    assert set(pods) == {"isobench-operator", "isobench-canary", "isobench-test"}
    for pod in pods.values():
        security = pod["securityContext"]
        assert security["runAsNonRoot"] is True
        assert security["runAsUser"] == security["fsGroup"] == 10001
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert set(container["resources"]) == {"requests", "limits"}


def test_replicas_are_spread_probed_and_kept_during_disruptions(chart):
    objects = chart.objects()
    deployment = objects.one("Deployment", "isobench-operator")
    pod = deployment["spec"]["template"]["spec"]
    assert deployment["spec"]["replicas"] == 2
    assert pod["topologySpreadConstraints"][0]["topologyKey"] == "kubernetes.io/hostname"
    assert {"livenessProbe", "readinessProbe"} <= set(pod["containers"][0])
    budget = objects.one("PodDisruptionBudget", "isobench-operator")
    assert budget["spec"]["selector"] == deployment["spec"]["selector"]


def test_one_replica_needs_no_disruption_budget_that_would_block_a_drain(chart):
    assert chart.objects({"operator": {"replicas": 1}}).of("PodDisruptionBudget") == []


def test_scope_tenants_has_roles_only_and_serves_the_tenants_alone(chart):
    values = {
        "scope": "tenants",
        "tenants": [TEAM_A, TEAM_B],
        "crds": {"install": False},
        "priorityClasses": {"create": False},
    }
    objects = chart.objects(values)
    assert {found["kind"] for found in objects.all}.isdisjoint(CLUSTER_KINDS)
    settings = settings_from(objects.operator_arguments())
    assert settings.namespaces == ("team-a", "team-b")
    assert not settings.manage_network_policy
    operators = [role for role in objects.of("Role") if role["metadata"]["name"] == "isobench-isobench-operator"]
    assert [role["metadata"]["namespace"] for role in operators] == ["team-a", "team-b"]
    cluster = chart.objects().one("ClusterRole", "isobench-isobench-operator")
    its_policies = {"apiGroups": ["networking.k8s.io"], "resources": ["networkpolicies"], "verbs": ["create", "update"]}
    assert all([*role["rules"], its_policies] == cluster["rules"] for role in operators)


def test_a_tenant_gets_what_is_asked_for_it(chart):
    objects = chart.objects({"tenants": [TEAM_A, TEAM_B]})
    namespace = objects.one("Namespace", "team-a")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert namespace["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    (quota,) = objects.of("ResourceQuota")
    assert quota["spec"] == {"hard": {"pods": "40"}}
    (user,) = [role for role in objects.of("RoleBinding") if role["metadata"]["name"] == "isobench-user"]
    assert (user["metadata"]["namespace"], user["subjects"]) == ("team-b", [{"kind": "Group", "name": "b"}])


def test_a_tenant_may_not_write_status(chart):
    (role,) = [role for role in chart.objects({"tenants": [TEAM_B]}).of("Role") if "user" in role["metadata"]["name"]]
    assert not [resource for rule in role["rules"] for resource in rule["resources"] if resource.endswith("/status")]


def test_caps_reach_the_operator_by_namespace(chart):
    values = {"tenants": [TEAM_A, TEAM_B], "defaultCaps": {"dollars": 1, "runningItems": 2}}
    settings = settings_from(chart.objects(values).operator_arguments())
    caps = {name: settings.caps_of(name) for name in ("team-a", "team-b", "another")}
    assert (caps["team-a"].dollars, caps["team-a"].items) == (50, 20)
    assert caps["team-b"].dollars == 5
    assert (caps["another"].dollars, caps["another"].items) == (1, 2)


def test_policies_close_timing_and_let_other_stages_out_only(chart):
    objects = chart.objects({"tenants": [TEAM_A]})
    policies = {policy["metadata"]["name"]: policy["spec"] for policy in objects.of("NetworkPolicy")}
    timing = policies["isobench-timing"]
    assert timing == {
        "podSelector": {"matchLabels": {"isobench.dev/network": "none"}},
        "policyTypes": ["Ingress", "Egress"],
    }
    egress = policies["isobench-egress"]
    assert {"key": "isobench.dev/network", "operator": "NotIn", "values": ["none"]} in (
        egress["podSelector"]["matchExpressions"]
    )
    assert "ingress" not in egress
    assert egress["egress"][0]["to"][0]["ipBlock"]["except"] == ["169.254.169.254/32"]


def test_the_definitions_stay_when_the_release_goes(chart):
    definitions = chart.objects().of("CustomResourceDefinition")
    assert len(definitions) == 2
    for definition in definitions:
        assert definition["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    assert chart.objects({"crds": {"install": False}}).of("CustomResourceDefinition") == []


def test_monitoring_is_made_where_the_cluster_knows_its_kinds(chart):
    kinds = {"ServiceMonitor", "PodMonitor", "PrometheusRule"}
    assert kinds.isdisjoint({found["kind"] for found in chart.objects().all})
    with_operator = chart.objects(kinds=MONITORING)
    (monitor,) = with_operator.of("ServiceMonitor")
    service = with_operator.one("Service", "isobench-operator")
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert len(with_operator.of("PrometheusRule")) == 1
    by_pod = chart.objects({"monitoring": {"monitor": "PodMonitor", "alerts": {"enabled": False}}}, MONITORING)
    assert [found["kind"] for found in by_pod.all if found["kind"] in kinds] == ["PodMonitor"]


def test_dashboards_carry_the_label_that_grafana_looks_for(chart):
    boards = [found for found in chart.objects().of("ConfigMap") if "dashboard" in found["metadata"]["name"]]
    assert {board["metadata"]["name"] for board in boards} == {
        "isobench-dashboard-cost",
        "isobench-dashboard-throughput",
    }
    assert all(board["metadata"]["labels"]["grafana_dashboard"] == "1" for board in boards)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"operators": {}}, "operators"),
        ({"operator": {"replica": 3}}, "replica"),
        ({"operator": {"replicas": "three"}}, "replicas"),
        ({"operator": {"logLevel": "loud"}}, "logLevel"),
        ({"images": {"worker": {"digest": "latest"}}}, "digest"),
        ({"images": {"pullPolicy": "Sometimes"}}, "pullPolicy"),
        ({"scope": "everything"}, "scope"),
        ({"tenants": [{"name": "team-a"}]}, "namespace"),
        ({"tenants": [{"namespace": "team-a", "caps": {"dollar": 3}}]}, "dollar"),
        ({"tenants": [{"namespace": "team-a", "caps": {"dollars": -3}}]}, "dollars"),
        ({"monitoring": {"alerts": {"capShare": 90}}}, "capShare"),
        ({"helmTest": {"store": "ftp://host"}}, "store"),
        ({"scope": "tenants"}, "scope: tenants needs at least one entry in tenants"),
        ({"tenants": [{"namespace": "a"}, {"namespace": "a"}]}, "a namespace is listed twice"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_by_name(chart, values, said):
    with pytest.raises(Refused, match=said):
        chart.objects(values)


def test_the_self_test_runs_at_home_and_its_benchmark_in_a_tenants_namespace(chart):
    objects = chart.objects({"scope": "tenants", "tenants": [TEAM_A, TEAM_B]})
    where = {
        found["kind"]: found["metadata"]["namespace"]
        for found in objects.all
        if found["metadata"]["name"] == "isobench-test"
    }
    assert {kind for kind, place in where.items() if place == "isobench"} == {"ServiceAccount", "ConfigMap", "Pod"}
    assert {kind for kind, place in where.items() if place == "team-a"} == {"Role", "RoleBinding", "Secret"}
