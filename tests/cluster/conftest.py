"""What the cluster's tests share: the cluster, a namespace of one's own, kubectl and the store."""

import asyncio
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cluster.api_server import Access, api_server
from cluster.cluster import Cluster
from cluster.playing import a_stage, item_operator
from cluster.profiles import REAL
from cluster.releases import installed

STORE_SECRET = "isobench-store"
BUCKET = "isobench"


def pytest_collection_modifyitems(items):
    for item in items:
        item.add_marker(pytest.mark.timeout(600))


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The real cluster: one that is up is used and stays, else it is started and ended."""
    if os.getuid():
        pytest.fail("the cluster's tests need root: run them as root, or leave tests/cluster out")
    found = Cluster(REAL)
    was_up = found.is_up()
    found.up()
    yield found
    if not was_up:
        assert found.down() == []


@pytest.fixture(scope="session")
def api() -> Iterator[Access]:
    """A real API server without nodes."""
    with api_server() as access:
        yield access


@pytest.fixture(scope="session")
def kinds(api) -> Access:
    """The API server with our kinds, as they are committed."""
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
def a_namespace(cluster: Cluster) -> Iterator[str]:
    """A namespace that enforces restricted Pod Security and has the store's credentials; gone at the end."""
    name = f"test-{secrets.token_hex(4)}"
    labels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
    store = {"metadata": {"name": STORE_SECRET}, "stringData": cluster.s3_credentials}
    cluster.client.call("POST", "/api/v1/namespaces", {"metadata": {"name": name, "labels": labels}})
    cluster.client.call("POST", f"/api/v1/namespaces/{name}/secrets", store)
    try:
        yield name
    finally:
        cluster.client.call("DELETE", f"/api/v1/namespaces/{name}")


@pytest.fixture(scope="session")
def s3(cluster):
    """The S3 server's client, with the bucket that tests share; each takes a prefix of its own."""
    import boto3

    keys = cluster.s3_credentials
    client = boto3.client(
        "s3",
        endpoint_url=cluster.s3_endpoint,
        region_name="us-east-1",
        aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
    )
    if BUCKET not in [bucket["Name"] for bucket in client.list_buckets()["Buckets"]]:
        client.create_bucket(Bucket=BUCKET)
    return client


@pytest.fixture(scope="session")
def release(cluster, kubectl):
    """The chart, installed with the images under test; it serves objects whose controllerName is its namespace."""
    cluster.load_images()
    with installed(cluster.plane.kubeconfig, kubectl) as made:
        yield made
