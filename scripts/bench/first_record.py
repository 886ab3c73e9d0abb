"""Measures how long the chart takes from `helm install` to the first record of the demo batch, and to the last.

    python scripts/bench/first_record.py

Needs root, and nothing running (it starts the test cluster, and ends it); building the cluster and the images comes
before the clock starts. What is timed are the commands of docs/try-on-a-cluster.md, images on the node, caches cold:
the chart's default values, two replicas, a canary, three pairs of real releases. Prints a table and, as its last line,
the numbers as JSON.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from building.chart import CHART, helm_program
from cluster.cluster import Cluster
from cluster.profiles import REAL

ROOT = Path(__file__).parents[2]
PATIENCE = 1800.0
AIM = 180.0


def main() -> None:
    """Start the cluster, time the commands, end it."""
    helm, cluster = helm_program(), Cluster(REAL)
    if not cluster.up():
        raise SystemExit("the test cluster is up, and installing is timed on one of its own: `make cluster-down` first")
    try:
        cluster.load_images()
        script = ROOT / "scripts" / "demo" / "on_cluster.py"
        subprocess.run([sys.executable, script, cluster.git_folder], check=True, stdout=sys.stderr)
        seconds = time_commands(cluster, helm)
    finally:
        cluster.down()
    print("| from `helm install` to | seconds |\n|---|---|")
    for what, measured in seconds.items():
        print(f"| {what} | {measured:.0f} |")
    print(json.dumps({"benchmark": "first record", "aim_seconds": AIM, "seconds": seconds}))


def time_commands(cluster: Cluster, helm: Path) -> dict[str, float]:
    """Seconds since the first command until the release was ready, the first record was stored, and the last."""
    began = time.monotonic()
    names = ("--namespace", "isobench", "--create-namespace", "--wait")
    install = [helm, "install", "isobench", CHART, "--kubeconfig", cluster.plane.kubeconfig, *names]
    subprocess.run(install, check=True, stdout=sys.stderr)
    seconds = {"the release is ready": time.monotonic() - began}
    cluster.kubectl("create", "namespace", "team")
    secret = f"--from-env-file={cluster.folder / 's3-credentials.env'}"
    cluster.kubectl("create", "secret", "generic", "isobench-store", "-n", "team", secret)
    cluster.kubectl("apply", "-n", "team", "-f", str(ROOT / "config" / "samples" / "batch-demo.yaml"))
    wait_for(cluster, 1, began)
    seconds["the first record is stored"] = time.monotonic() - began
    wait_for(cluster, 3, began)
    return seconds | {"all three records are stored": time.monotonic() - began}


def wait_for(cluster: Cluster, records: int, began: float) -> None:
    """Return when so many items have their records in the store."""
    while stored(cluster) < records:
        if time.monotonic() - began > PATIENCE:
            raise SystemExit(f"only {stored(cluster)} of {records} records came within {PATIENCE:.0f} s")
        time.sleep(0.5)


def stored(cluster: Cluster) -> int:
    """How many items say that their record is stored."""
    items = json.loads(cluster.kubectl("get", "cb", "-n", "team", "-o", "json"))["items"]
    answers = [answer for item in items for answer in item.get("status", {}).get("conditions", ())]
    return sum(answer["type"] == "RecordStored" and answer["status"] == "True" for answer in answers)


if __name__ == "__main__":
    main()
