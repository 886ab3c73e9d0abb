"""CNI plug-in: tells the policy agent of a new pod's address and waits for its word; without an agent the pod starts.

Standard library only, as the last of a chain. A real agent hears of a pod from the API server, about a second after
its first program started; this way the test cluster can be told to enforce from the start, late, or never.
"""

import json
import os
import socket
import sys


def main():
    """Answer one call of the container runtime."""
    config = json.load(sys.stdin)
    result = config.get("prevResult", {"cniVersion": config["cniVersion"]})
    if os.environ["CNI_COMMAND"] == "VERSION":
        result = {"cniVersion": config["cniVersion"], "supportedVersions": ["0.3.1", "0.4.0"]}
    elif os.environ["CNI_COMMAND"] == "ADD":
        facts = dict(pair.split("=", 1) for pair in os.environ["CNI_ARGS"].split(";"))
        address = result["ips"][0]["address"].split("/")[0]
        tell(config["socket"], [facts["K8S_POD_NAMESPACE"], facts["K8S_POD_NAME"], address])
    json.dump(result, sys.stdout)


def tell(path, pod):
    """Send it and wait for the answer."""
    try:
        with socket.socket(socket.AF_UNIX) as agent:
            agent.settimeout(20)
            agent.connect(path)
            agent.sendall(json.dumps(pod).encode() + b"\n")
            agent.recv(1)
    except OSError:
        pass


main()
