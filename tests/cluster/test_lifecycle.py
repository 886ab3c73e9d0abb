"""A cluster's beginning and end: beside another one, and nothing stays behind, killed or not."""

import os
import signal

import pytest

from cluster import binaries, namespaces
from cluster.cluster import Cluster, summary
from cluster.profiles import Profile

pytestmark = pytest.mark.own_cluster("the harness's node, network or servers")

TRIAL = Profile("trial", 3, real=True)


@pytest.fixture
def trial():
    made = Cluster(TRIAL)
    yield made
    assert made.down() == []


def test_a_second_cluster_starts_beside_the_first_and_leaves_nothing_even_when_it_was_killed(cluster, trial):
    trial.up()
    assert trial.is_up()
    assert cluster.is_up()
    assert node(trial) != node(cluster)
    os.kill(namespaces.process(TRIAL), signal.SIGKILL)
    assert not trial.is_up()
    assert trial.down() == []


def test_what_is_missing_is_named_with_the_way_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(binaries.Missing, match=r"containerd.*install_test_tools\.sh"):
        Cluster(TRIAL).up()


def test_of_one_that_is_down_only_what_is_not_built_yet_is_told(monkeypatch, tmp_path):
    assert summary(Cluster(TRIAL)) == {"state": "down"}
    monkeypatch.setattr(binaries, "CACHE", tmp_path)
    assert summary(Cluster(TRIAL)) == {"state": "down", "not built yet": list(binaries.REAL)}


def node(cluster):
    (found,) = cluster.client.call("GET", "/api/v1/nodes")["items"]
    return found["metadata"]["uid"]
