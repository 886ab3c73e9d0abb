"""What the policy agent makes of policies: the rules that the node's firewall gets."""

from cluster.policy_rules import EGRESS, INGRESS, Pod, rules

NAMESPACES = {"team": {"kind": "tenant"}, "system": {"kind": "system"}}
TIMED = Pod("team", "timed", "10.0.0.2", {"network": "none"})
OTHER = Pod("team", "other", "10.0.0.3", {})
CANARY = Pod("system", "canary", "10.0.0.4", {"app": "canary"})
PODS = [TIMED, OTHER, CANARY]


def policy(selector, types, **rules):
    return {"metadata": {"namespace": "team"}, "spec": {"podSelector": selector, "policyTypes": types, **rules}}


def lines(*policies):
    return [line for line in rules(PODS, NAMESPACES, policies) if "conntrack" not in line]


def test_without_policies_nothing_is_refused():
    assert lines() == []


def test_deny_all_refuses_both_ways_and_only_for_the_selected_pods():
    deny = policy({"matchLabels": {"network": "none"}}, ["Ingress", "Egress"])
    assert lines(deny) == [f"-A {EGRESS} -s 10.0.0.2 -j REJECT", f"-A {INGRESS} -d 10.0.0.2 -j REJECT"]


def test_a_second_policy_that_allows_opens_the_pod_again():
    deny = policy({"matchLabels": {"network": "none"}}, ["Egress"])
    everything = policy({}, ["Egress"], egress=[{}])
    found = lines(deny, everything)
    assert found.index(f"-A {EGRESS} -s 10.0.0.2 -j RETURN") < found.index(f"-A {EGRESS} -s 10.0.0.2 -j REJECT")


def test_peers_are_found_by_namespace_and_pod_labels_and_ports_are_kept():
    peer = {
        "namespaceSelector": {"matchLabels": {"kind": "system"}},
        "podSelector": {"matchExpressions": [{"key": "app", "operator": "In", "values": ["canary"]}]},
    }
    allowed = policy({}, ["Egress"], egress=[{"to": [peer], "ports": [{"port": 80}, {"port": 53, "protocol": "UDP"}]}])
    assert f"-A {EGRESS} -s 10.0.0.3 -d 10.0.0.4 -p tcp -m tcp --dport 80 -j RETURN" in lines(allowed)
    assert f"-A {EGRESS} -s 10.0.0.3 -d 10.0.0.4 -p udp -m udp --dport 53 -j RETURN" in lines(allowed)
    assert not [line for line in lines(allowed) if "-s 10.0.0.4" in line]


def test_an_address_block_without_ports_is_allowed_whole():
    allowed = policy({}, ["Egress"], egress=[{"to": [{"ipBlock": {"cidr": "10.1.0.0/16"}}]}])
    assert f"-A {EGRESS} -s 10.0.0.2 -d 10.1.0.0/16 -j RETURN" in lines(allowed)


def test_what_an_address_block_excepts_stays_refused():
    block = {"cidr": "0.0.0.0/0", "except": ["169.254.169.254/32"]}
    found = [
        line for line in lines(policy({}, ["Egress"], egress=[{"to": [{"ipBlock": block}]}])) if "10.0.0.2" in line
    ]
    assert found[:2] == [
        f"-A {EGRESS} -s 10.0.0.2 -d 169.254.169.254/32 -j REJECT",
        f"-A {EGRESS} -s 10.0.0.2 -d 0.0.0.0/0 -j RETURN",
    ]
