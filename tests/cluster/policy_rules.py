"""Network policies as iptables rules: a pure function of the pods, namespaces and policies that there are."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

EGRESS, INGRESS = "ISOBENCH-EGRESS", "ISOBENCH-INGRESS"
Selector = Mapping[str, Any]


@dataclass(frozen=True)
class Pod:
    """A pod that has an address."""

    namespace: str
    name: str
    address: str
    labels: Mapping[str, str]


def rules(pods: Sequence[Pod], namespaces: Mapping[str, Mapping[str, str]], policies: Sequence[Any]) -> list[str]:
    """Lines for `iptables-restore`: what a policy selects may do what some policy allows, and nothing else."""
    lines = []
    for chain, kind, field in ((EGRESS, "Egress", "to"), (INGRESS, "Ingress", "from")):
        lines.append(f"-A {chain} -m conntrack --ctstate ESTABLISHED,RELATED -j RETURN")
        own, other = ("-s", "-d") if kind == "Egress" else ("-d", "-s")
        for pod in pods:
            chosen = [policy for policy in policies if kind in _types(policy) and _selects(policy, pod)]
            for policy in chosen:
                for rule in policy["spec"].get(kind.lower()) or ():
                    peers = list(_peers(rule.get(field), policy["metadata"]["namespace"], pods, namespaces))
                    lines += [
                        f"-A {chain} {own} {pod.address}{peer and f' {other} {peer}'}{ports} -j {verdict}"
                        for peer, verdict in peers
                        for ports in _ports(rule.get("ports"))
                    ]
            if chosen:
                lines.append(f"-A {chain} {own} {pod.address} -j REJECT")
    return lines


def _types(policy: Any) -> Sequence[str]:
    given: Sequence[str] | None = policy["spec"].get("policyTypes")
    return given or ["Ingress", *(["Egress"] if policy["spec"].get("egress") else [])]


def _selects(policy: Any, pod: Pod) -> bool:
    return policy["metadata"]["namespace"] == pod.namespace and _matches(policy["spec"]["podSelector"], pod.labels)


def _peers(
    peers: Sequence[Any] | None, own: str, pods: Sequence[Pod], namespaces: Mapping[str, Mapping[str, str]]
) -> Iterator[tuple[str, str]]:
    """Addresses, each with what becomes of a packet; an empty one is everywhere.

    What a block excepts is refused, even where another rule allows it: that is stricter than the API says.
    """
    if not peers:
        yield "", "RETURN"
    for peer in peers or ():
        if block := peer.get("ipBlock"):
            yield from ((excepted, "REJECT") for excepted in block.get("except") or ())
            yield block["cidr"], "RETURN"
        elif (selector := peer.get("namespaceSelector")) is not None:
            found = {name for name, labels in namespaces.items() if _matches(selector, labels)}
            yield from ((pod.address, "RETURN") for pod in pods if pod.namespace in found and _chosen(peer, pod))
        else:
            yield from ((pod.address, "RETURN") for pod in pods if pod.namespace == own and _chosen(peer, pod))


def _chosen(peer: Any, pod: Pod) -> bool:
    return _matches(peer.get("podSelector") or {}, pod.labels)


def _ports(ports: Sequence[Any] | None) -> Iterator[str]:
    if not ports:
        yield ""
    for port in ports or ():
        last = f":{port['endPort']}" if "endPort" in port else ""
        protocol = port.get("protocol", "TCP").lower()
        yield f" -p {protocol} -m {protocol} --dport {port['port']}{last}" if "port" in port else f" -p {protocol}"


def _matches(selector: Selector, labels: Mapping[str, str]) -> bool:
    wanted = selector.get("matchLabels") or {}
    return all(labels.get(key) == value for key, value in wanted.items()) and all(
        _holds(expression, labels) for expression in selector.get("matchExpressions") or ()
    )


def _holds(expression: Any, labels: Mapping[str, str]) -> bool:
    key, values = expression["key"], expression.get("values") or ()
    return {
        "In": labels.get(key) in values,
        "NotIn": labels.get(key) not in values,
        "Exists": key in labels,
        "DoesNotExist": key not in labels,
    }[str(expression["operator"])]
