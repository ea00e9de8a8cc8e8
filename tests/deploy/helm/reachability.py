"""Whether pods may talk, as a network plugin reads NetworkPolicies."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

Document = dict[str, Any]


@dataclass(frozen=True)
class Place:
    """A pod, or with an address somebody outside."""

    namespace: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    address: str = "10.1.2.3"


@dataclass
class Network:
    """The policies of a cluster."""

    policies: Iterable[Document]
    default_namespace: str

    def allows(self, source: Place, target: Place, port: int, protocol: str = "TCP") -> bool:
        """Return whether a connection comes about: the source may go out, and the target let it in."""
        out = self._permits("Egress", source, target, port, protocol)
        return out and self._permits("Ingress", target, source, port, protocol)

    def _permits(self, direction: str, subject: Place, other: Place, port: int, protocol: str) -> bool:
        if not subject.namespace:  # not in the cluster: no policy is about it
            return True
        key, peers = ("egress", "to") if direction == "Egress" else ("ingress", "from")
        about = [policy for policy in self.policies if self._is_about(policy, subject, direction)]
        rules = [(policy, rule) for policy in about for rule in policy["spec"].get(key, ())]
        return not about or any(
            _has_port(rule, port, protocol)
            and (not rule.get(peers) or any(self._is_peer(policy, peer, other) for peer in rule[peers]))
            for policy, rule in rules
        )

    def _namespace(self, policy: Document) -> str:
        return str(policy["metadata"].get("namespace", self.default_namespace))

    def _is_about(self, policy: Document, place: Place, direction: str) -> bool:
        spec = policy["spec"]
        return (
            self._namespace(policy) == place.namespace
            and direction in spec["policyTypes"]
            and matches(spec["podSelector"], place.labels)
        )

    def _is_peer(self, policy: Document, peer: Document, place: Place) -> bool:
        if block := peer.get("ipBlock"):
            return _is_within(place.address, block)
        if not place.namespace:
            return False
        if "namespaceSelector" in peer:
            of_namespace = matches(
                peer["namespaceSelector"], {"kubernetes.io/metadata.name": place.namespace}
            )
        else:
            of_namespace = self._namespace(policy) == place.namespace
        return of_namespace and matches(peer.get("podSelector", {}), place.labels)


def matches(selector: Document, labels: dict[str, str]) -> bool:
    """Return whether a label selector selects ``labels``."""
    wanted = selector.get("matchLabels", {}).items()
    return wanted <= labels.items() and all(
        _meets(expression, labels) for expression in selector.get("matchExpressions", ())
    )


def _meets(expression: Document, labels: dict[str, str]) -> bool:
    value = labels.get(expression["key"])
    match expression["operator"]:
        case "In":
            return value in expression["values"]
        case "NotIn":
            return value not in expression["values"]
        case "Exists":
            return value is not None
        case other:
            raise AssertionError(other)


def _has_port(rule: Document, port: int, protocol: str) -> bool:
    ports = rule.get("ports", ())
    return not ports or any((each["port"], each.get("protocol", "TCP")) == (port, protocol) for each in ports)


def _is_within(address: str, block: Document) -> bool:
    where = ipaddress.ip_address(address)
    return where in ipaddress.ip_network(block["cidr"]) and not any(
        where in ipaddress.ip_network(each) for each in block.get("except", ())
    )
