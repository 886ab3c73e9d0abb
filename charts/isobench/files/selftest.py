"""What `helm test` runs: one benchmark of a repository of two commits, and what became of it, step by step.

Runs in the worker image (Python and git), with a service account that may create, read and delete benchmarks only. It
serves the repository itself, and a store for the record unless the values name one.
"""

import json
import os
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from selftest_store import Store

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
SERVER = f"https://{os.environ['KUBERNETES_SERVICE_HOST']}:{os.environ['KUBERNETES_SERVICE_PORT']}"
NAMESPACE, NAME = os.environ["TEST_NAMESPACE"], os.environ["TEST_NAME"]
SPEC = json.loads(os.environ["TEST_SPEC"])
TIMEOUT_SECONDS = float(os.environ["TEST_TIMEOUT_SECONDS"])
POLL_SECONDS = 2
GIT_PORT, STORE_PORT = 9418, 9000
# The project brings its own build backend: the test needs no package index.
PYPROJECT = """
[project]
name = "tiny"
version = "1"
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""
BACKEND = """
import os, zipfile
def build_wheel(out, config_settings=None, metadata_directory=None):
    files = {
        "tiny.py": open("tiny.py").read(),
        "tiny-1.dist-info/METADATA": "Metadata-Version: 2.1\\nName: tiny\\nVersion: 1\\n",
        "tiny-1.dist-info/WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    }
    files["tiny-1.dist-info/RECORD"] = "".join(name + ",,\\n" for name in [*files, "tiny-1.dist-info/RECORD"])
    with zipfile.ZipFile(os.path.join(out, "tiny-1-py3-none-any.whl"), "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return "tiny-1-py3-none-any.whl"
"""
SLOW = "def total(n):\n    return sum(i for i in range(n))\n"
FAST = "def total(n):\n    return n * (n - 1) // 2\n"
TEST = """
import json, time
from tiny import total
started = time.perf_counter()
same_in_both = sum(range(500_000))
found = total(2_000_000)
print(json.dumps({"avg_ms": (time.perf_counter() - started) * 1000, "result_sha256": f"{found:064x}"}))
"""


def git(folder, *arguments):
    """What git says."""
    author = ["-c", "user.name=isobench", "-c", "user.email=isobench@example.org"]
    done = subprocess.run(["git", *author, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def repository(folder):
    """Make the repository and return the commit to benchmark."""
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet", "--initial-branch", "main")
    (folder / "pyproject.toml").write_text(PYPROJECT)
    (folder / "backend.py").write_text(BACKEND)
    for text, subject in ((SLOW, "Sum the numbers below n"), (FAST, "Sum them by the formula")):
        (folder / "tiny.py").write_text(text)
        git(folder, "add", ".")
        git(folder, "commit", "--quiet", "--message", subject)
    return git(folder, "rev-parse", "HEAD")


def call(method, path, body=None):
    """Ask the API server."""
    request = urllib.request.Request(SERVER + path, method=method, data=json.dumps(body).encode() if body else None)
    request.add_header("Authorization", f"Bearer {(ACCOUNT / 'token').read_text().strip()}")
    request.add_header("Content-Type", "application/json")
    trust = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    with urllib.request.urlopen(request, context=trust, timeout=30) as answer:
        return json.load(answer)


def manifest(head):
    """The benchmark of ``head``, served by this pod."""
    here = os.environ["POD_IP"]
    spec = {
        "repository": {"url": f"git://{here}:{GIT_PORT}/tiny"},
        "commits": {"head": head},
        "test": {"inline": TEST},
        "timing": {"minPairs": 8, "maxPairs": 10},
    }
    if "store" not in SPEC["output"]:
        SPEC["output"].update(store="s3://selftest/records", endpoint=f"http://{here}:{STORE_PORT}")
    kind = {"apiVersion": "isobench.dev/v1alpha1", "kind": "CommitBenchmark"}
    return {**kind, "metadata": {"name": NAME, "namespace": NAMESPACE}, "spec": {**spec, **SPEC}}


def followed(path, deadline):
    """Tell what happens until the benchmark ends; return its `Succeeded` condition."""
    said = None
    while time.monotonic() < deadline:
        status = call("GET", path).get("status") or {}
        outcome = next((c for c in status.get("conditions", []) if c["type"] == "Succeeded"), None)
        steps = [f"{stage['name']} {stage['state']}" for stage in status.get("stages", [])]
        waiting = (status.get("waiting") or {}).get("why", "not taken up yet: does the operator lead?")
        now = ", ".join(steps) or waiting
        if now != said:
            print(now, flush=True)
            said = now
        if outcome and outcome["status"] != "Unknown":
            return outcome
        time.sleep(POLL_SECONDS)
    sys.exit(f"after {TIMEOUT_SECONDS:g} s it is still at: {said}; kubectl describe cb {NAME} says more")


def main():
    """Run the benchmark; leave it there when it fails, so that it can be looked at."""
    store = Store()
    store.serve(STORE_PORT)
    head = repository(Path("/tmp/git/tiny"))
    base = f"/apis/isobench.dev/v1alpha1/namespaces/{NAMESPACE}/commitbenchmarks"
    daemon = subprocess.Popen(
        ["git", "daemon", f"--port={GIT_PORT}", "--export-all", "--base-path=/tmp/git", "/tmp/git"]
    )
    try:
        try:
            call("POST", base, manifest(head))
        except urllib.error.HTTPError as error:
            sys.exit(f"the API server refused the benchmark: {json.load(error)['message']}")
        outcome = followed(f"{base}/{NAME}", time.monotonic() + TIMEOUT_SECONDS)
    finally:
        daemon.terminate()
    print(f"{outcome['reason']}: {outcome.get('message', '')}", flush=True)
    for name in sorted(store.objects):
        print(f"stored: {name}, {len(store.objects[name])} bytes", flush=True)
    if outcome["status"] != "True":
        sys.exit(1)
    call("DELETE", f"{base}/{NAME}")


if __name__ == "__main__":
    main()
