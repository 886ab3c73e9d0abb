"""The test cluster itself: pods run, volumes come and go, policies hold when they should, and nothing leads out."""

import json
import socket
import textwrap

import pytest

from cluster.api_server import Access
from cluster.policy_agent import DELAY
from cluster.waiting import wait_until

IMAGE = "isobench-environment:dev"
own_cluster = pytest.mark.own_cluster("the harness's node, network or servers")
DENY = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "deny"},
    "spec": {"podSelector": {"matchLabels": {"network": "none"}}, "policyTypes": ["Ingress", "Egress"]},
}
CONNECT = """
    import socket, sys, time
    def reached(host, port):
        try:
            socket.create_connection((host, port), timeout=2).close()
        except OSError:
            return False
        return True
"""


@pytest.fixture(autouse=True, scope="module")
def _images(cluster):
    cluster.load_images()


@own_cluster
def test_a_restricted_pod_runs_and_its_volume_is_made_and_removed(cluster, namespace, kubectl):
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "work"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    kubectl("apply", "-n", namespace, "-f-", input=json.dumps(claim))
    pod = python_pod("open('/work/file', 'w').write('kept'); print(open('/work/file').read())")
    pod["spec"]["volumes"] = [{"name": "work", "persistentVolumeClaim": {"claimName": "work"}}]
    pod["spec"]["containers"][0]["volumeMounts"] = [{"name": "work", "mountPath": "/work"}]
    assert output(kubectl, namespace, pod) == "kept"
    volumes = list((cluster.folder / "volumes").glob("*/file"))
    assert volumes
    kubectl("delete", "-n", namespace, "pod/trial", "pvc/work")
    wait_until(lambda: not any(volume.exists() for volume in volumes), "the volume's folder to be removed")


def test_a_pod_that_is_not_restricted_is_refused(namespace, kubectl):
    pod = python_pod("pass")
    del pod["spec"]["securityContext"]
    assert "violates PodSecurity" in kubectl("apply", "-n", namespace, "-f-", input=json.dumps(pod), check=False)


@own_cluster
def test_a_policy_holds_from_the_first_instruction_on(cluster, namespace, kubectl):
    kubectl("apply", "-n", namespace, "-f-", input=json.dumps(DENY))
    asked = python_pod(f"{CONNECT}    print(reached('{cluster.profile.address}', 7070), reached('10.96.0.1', 443))")
    assert output(kubectl, namespace, asked | {"metadata": {"name": "open"}}) == "True True"
    assert output(kubectl, namespace, asked) == "False False"


@own_cluster
def test_a_policy_can_be_enforced_late(cluster, namespace, kubectl):
    kubectl("annotate", "namespace", namespace, f"{DELAY}=never")
    kubectl("apply", "-n", namespace, "-f-", input=json.dumps(DENY))
    waiting = python_pod(f"""{CONNECT}
    print(reached('{cluster.profile.address}', 7070), flush=True)
    while reached('{cluster.profile.address}', 7070):
        time.sleep(0.1)
    print('closed')
    """)
    start(kubectl, namespace, waiting)
    wait_until(lambda: logs(kubectl, namespace) == "True", "the pod to reach the store")
    kubectl("annotate", "--overwrite", "namespace", namespace, f"{DELAY}=0")
    assert ended(kubectl, namespace) == "True\nclosed"


@own_cluster
def test_nothing_in_the_cluster_reaches_this_machine(cluster, namespace, kubectl):
    with socket.create_server((cluster.profile.ends[0], 0)) as server:
        here, port = server.getsockname()
        socket.create_connection((here, port)).close()
        assert output(kubectl, namespace, python_pod(f"{CONNECT}    print(reached('{here}', {port}))")) == "False"


@own_cluster
def test_service_names_are_known_to_pods(namespace, kubectl):
    pod = python_pod("import socket; print(socket.gethostbyname('kubernetes.default.svc.cluster.local'))")
    assert output(kubectl, namespace, pod) == "10.96.0.1"


def test_the_store_keeps_what_it_is_given(s3, namespace):
    s3.put_object(Bucket="isobench", Key=f"{namespace}/a", Body=b"bytes")
    assert s3.get_object(Bucket="isobench", Key=f"{namespace}/a")["Body"].read() == b"bytes"


@own_cluster
def test_starting_a_cluster_that_is_up_changes_nothing(cluster):
    before = (cluster.folder / "pid").read_text()
    cluster.up()
    assert (cluster.folder / "pid").read_text() == before


@pytest.mark.own_cluster("an API server to spoil")
def test_the_api_server_alone_keeps_its_objects_over_a_restart(api: Access):
    api.kubectl("create", "namespace", "kept")
    api.stop("kube-apiserver")
    api.start("kube-apiserver")
    assert "kept" in api.kubectl("get", "namespaces", "-o", "name")


def python_pod(program):
    """A restricted pod that runs a program; the policy above selects it."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "trial", "labels": {"network": "none"}},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            "securityContext": {
                **{f"runAs{what}": 10001 for what in ("User", "Group")},
                "fsGroup": 10001,
                "runAsNonRoot": True,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "trial",
                    "image": IMAGE,
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["python3", "-c", textwrap.dedent(program)],
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "readOnlyRootFilesystem": True,
                        "capabilities": {"drop": ["ALL"]},
                    },
                }
            ],
        },
    }


def output(kubectl, namespace, pod):
    """What a pod prints until it has ended."""
    start(kubectl, namespace, pod)
    return ended(kubectl, namespace, pod["metadata"]["name"])


def start(kubectl, namespace, pod):
    kubectl("apply", "-n", namespace, "-f-", input=json.dumps(pod))


def ended(kubectl, namespace, name="trial"):
    def phase():
        return kubectl("get", "-n", namespace, f"pod/{name}", "-o", "jsonpath={.status.phase}")

    wait_until(lambda: phase() in ("Succeeded", "Failed"), f"pod {name} to end")
    assert phase() == "Succeeded", logs(kubectl, namespace, name)
    return logs(kubectl, namespace, name)


def logs(kubectl, namespace, name="trial"):
    return kubectl("logs", "-n", namespace, name, check=False).strip()
