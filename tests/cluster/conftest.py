"""What the cluster's tests share: the cluster, a namespace of one's own, kubectl and the store."""

import asyncio
import json
import os
import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cluster.api_server import Access, api_server
from cluster.given_cluster import GivenCluster, given, given_cluster
from cluster.own_cluster import OwnCluster
from cluster.playing import a_stage, item_operator
from cluster.profiles import REAL
from cluster.releases import installed

STORE_SECRET = "isobench-store"
BUCKET = "isobench"
LEFT_OUT = pytest.StashKey[Counter[str]]()
"""What the tests need that can't run on the given cluster, and how many need it."""


def pytest_configure(config):
    config.addinivalue_line("markers", "own_cluster(what): needs `what` of the cluster that is made here")


def pytest_collection_modifyitems(config, items):
    for item in items:
        item.add_marker(pytest.mark.timeout(600))
    bound = [item for item in items if item.get_closest_marker("own_cluster")] if given() else []
    config.stash[LEFT_OUT] = Counter(item.get_closest_marker("own_cluster").args[0] for item in bound)
    config.hook.pytest_deselected(items=bound)
    items[:] = [item for item in items if item not in bound]


def pytest_report_collectionfinish(config):
    left_out = config.stash[LEFT_OUT]
    needs = ", ".join(f"{what} ({count})" for what, count in left_out.most_common())
    said = f"tests left out: {left_out.total()}, for what only the cluster made here has: {needs}"
    return said if left_out else []


@pytest.fixture(scope="session")
def cluster(tmp_path_factory) -> Iterator[OwnCluster | GivenCluster]:
    """The real cluster: one that is given, or one that is up, which both stay, else it is started and ended."""
    if kubeconfig := given():
        with given_cluster(kubeconfig, tmp_path_factory.mktemp("given")) as somebodys:
            yield somebodys
        return
    if os.getuid():
        pytest.fail("the cluster's tests need root: run them as root, or leave tests/cluster out")
    found = OwnCluster(REAL)
    started = found.up()
    yield found
    if started:
        assert found.down() == []


@pytest.fixture(scope="session")
def api() -> Iterator[Access]:
    """A real API server without nodes."""
    with api_server() as access:
        yield access


@pytest.fixture(scope="session")
def kinds(api) -> Access:
    """The API server with our kinds."""
    return with_kinds(api)


@pytest.fixture(scope="session")
def kinds_anywhere(request) -> Access | GivenCluster:
    """An API server with our kinds: the given cluster's, or one without nodes."""
    return request.getfixturevalue("cluster") if given() else with_kinds(request.getfixturevalue("api"))


def with_kinds(api: Access) -> Access:
    """The API server, with our kinds as they are committed."""
    api.kubectl("apply", "--filename", str(Path(__file__).parents[2] / "crds"))
    api.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
    return api


@pytest.fixture
def play_item(kinds) -> Callable[..., Any]:
    """Runs a coroutine function with a namespace where it plays the kubelet, and with the operator that serves it."""

    def play(steps: Callable[..., Any], **settings: Any) -> Any:
        async def played() -> Any:
            async with (
                a_stage(kinds.kubeconfig) as stage,
                item_operator(kinds.kubeconfig, stage.namespace, **settings) as parts,
            ):
                return await steps(stage, parts)

        return asyncio.run(played())

    return play


@pytest.fixture(scope="session")
def kubectl(cluster) -> Callable[..., str]:
    """Runs kubectl as the administrator and returns what it prints."""
    return cluster.kubectl


@pytest.fixture
def namespace(cluster) -> Iterator[str]:
    """A namespace of one test's own."""
    with a_namespace(cluster) as name:
        yield name


@contextmanager
def a_namespace(cluster: OwnCluster | GivenCluster) -> Iterator[str]:
    """A namespace that enforces restricted Pod Security and has the store's credentials; gone at the end."""
    name = f"test-{secrets.token_hex(4)}"
    labels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
    store = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": STORE_SECRET, "namespace": name}}
    made = [namespace, store | {"stringData": cluster.s3_credentials}]
    cluster.kubectl("create", "-f-", input="\n---\n".join(map(json.dumps, made)))
    try:
        yield name
    finally:
        cluster.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="session")
def s3(cluster):
    """The S3 server's client, with the bucket that tests share; each takes a prefix of its own."""
    import boto3

    keys = cluster.s3_credentials
    client = boto3.client(
        "s3",
        endpoint_url=cluster.s3_from_here,
        region_name="us-east-1",
        aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
    )
    if BUCKET not in [bucket["Name"] for bucket in client.list_buckets()["Buckets"]]:
        client.create_bucket(Bucket=BUCKET)
    return client


@pytest.fixture(scope="session")
def release(cluster):
    """The chart, installed with the images under test; it serves objects whose controllerName is its namespace."""
    cluster.load_images()
    with installed(cluster) as made:
        yield made
