"""How the API server is reached: by a kubeconfig, or as a pod is told; tokens are read again as they are rotated."""

import kopf
import pytest

from isobench.controller.connection import Connection, NoConnection


@pytest.fixture
def in_a_pod(monkeypatch):
    """A pod whose service account's token is rotated by the test."""
    token = ["first"]

    def read(settings):
        return kopf.ConnectionInfo(server="https://kubernetes.default.svc", token=token[0])

    monkeypatch.setattr(kopf, "login_with_service_account", read)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    return token


def test_a_pod_needs_no_name_server_to_reach_the_api_server(in_a_pod, monkeypatch):
    assert Connection(None).server == "https://10.96.0.1:443"
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    assert Connection(None).server == "https://[fd00::1]:443"


def test_a_rotated_token_is_read_after_a_minute_or_when_the_old_one_was_refused(in_a_pod):
    now = [0.0]
    connection = Connection(None, lambda: now[0])
    in_a_pod[0] = "second"
    assert connection.headers() == {"Authorization": "Bearer first"}
    assert connection.headers(again=True) == {"Authorization": "Bearer second"}
    in_a_pod[0] = "third"
    now[0] = 61.0
    assert connection.headers() == {"Authorization": "Bearer third"}


def test_while_credentials_can_not_be_read_those_of_before_are_used(in_a_pod, monkeypatch):
    connection = Connection(None)
    monkeypatch.setattr(kopf, "login_with_service_account", lambda settings: None)
    assert connection.headers(again=True) == {"Authorization": "Bearer first"}


def test_outside_a_pod_the_error_names_the_flag(monkeypatch):
    monkeypatch.setattr(kopf, "login_with_service_account", lambda settings: None)
    with pytest.raises(NoConnection, match="--kubeconfig FILE"):
        Connection(None)


def test_a_kubeconfig_that_can_not_be_read_is_named(tmp_path):
    broken = tmp_path / "kubeconfig"
    broken.write_text("current-context: nowhere\n")
    with pytest.raises(NoConnection, match=str(broken)):
        Connection(broken)
    broken.write_text("contexts: [")
    with pytest.raises(NoConnection, match=str(broken)):
        Connection(broken)
