"""Values that make no sense together are refused with a sentence that names the remedy."""

from __future__ import annotations

from typing import Any

import pytest

from tests.deploy.helm.rendering import PROFILES, overlay, profile, refusal

Values = dict[str, Any]

RULES: dict[str, tuple[str, Values, str]] = {
    "nothing to scale by": (
        "production",
        {"services": {"mover": {"autoscaling": {"by": "queue"}}}},
        "set services.mover.autoscaling.by to processor or none",
    ),
    "min above max": (
        "local",
        {"services": {"ingest": {"autoscaling": {"min": 30}}}},
        "services.ingest.autoscaling.min is above its max",
    ),
    "nobody wakes it": (
        "local",
        {"services": {"datalab": {"autoscaling": {"by": "processor", "min": 0}}}},
        "services.datalab.autoscaling.min must be 1 or more",
    ),
    "no management": (
        "production",
        {"rabbitmq": {"external": {"management": {"url": ""}}}},
        "set rabbitmq.external.management.url and .secret.name",
    ),
    "no state for keda": (
        "production",
        {"mongodb": {"external": {"secret": {"name": ""}, "url": "vault:kv/flightline#state"}}},
        "takes its URL from a secret: set mongodb.external.secret.name",
    ),
    "hostname of nothing": (
        "local",
        {"services": {"datalab": {"hostname": "lab.example.org"}}},
        "services.datalab.hostname leads nowhere: set httpRoute.enabled or ingress.enabled",
    ),
    "no gateway": ("production", {"httpRoute": {"parentRefs": []}}, "name it in httpRoute.parentRefs"),
    "two ways in": ("production", {"ingress": {"enabled": True}}, "enable one of them"),
    "no broker": (
        "production",
        {"rabbitmq": {"external": {"secret": {"name": ""}}}},
        "set rabbitmq.external.secret.name, or have vaultAgent.secrets bring FLIGHTLINE_BUS",
    ),
    "no store": (
        "production",
        {"mongodb": {"external": {"secret": {"name": ""}}}},
        "set mongodb.external.secret.name, or have vaultAgent.secrets bring FLIGHTLINE_STATE",
    ),
    "said twice": (
        "production",
        {"mongodb": {"external": {"url": "mongodb://mongodb/flightline"}}},
        "mongodb.external.url and .secret.name say the same thing twice",
    ),
    "password in values": (
        "vault",
        {"rabbitmq": {"external": {"url": "amqp://user:password@rabbitmq/"}}},
        "rabbitmq.external.url holds a password",
    ),
    "dev server without a password": (
        "local",
        {"rabbitmq": {"dev": {"password": ""}}},
        "set rabbitmq.dev.password",
    ),
    "operator without a password": (
        "operators",
        {"mongodb": {"operator": {"passwordSecret": ""}}},
        "name it in mongodb.operator.passwordSecret",
    ),
    "no bucket": ("production", {"objects": {"external": {"url": ""}}}, "set objects.external.url"),
    "dev store without a key": (
        "local",
        {"objects": {"dev": {"secretKey": ""}}},
        "set objects.dev.secretKey",
    ),
    "workflows of nobody": (
        "production",
        {"services": {"odm-gateway": {"enabled": False}}},
        "argo.enabled is of no use without services.odm-gateway.enabled",
    ),
    "gpu without workflows": (
        "gpu",
        {"argo": {"enabled": False}},
        "set argo.enabled, or argo.gpu.enabled to false",
    ),
    "gpu without an image": (
        "production",
        {"argo": {"gpu": {"enabled": True}}},
        "set services.odm-gateway.settings.ODM_GATEWAY_ARGO_GPU_IMAGE",
    ),
    "contexts of no kubeconfig": (
        "vault",
        {"argo": {"kubeconfig": {"secret": ""}}},
        "name its secret in argo.kubeconfig.secret",
    ),
    "no internal token": (
        "local",
        {"settings": {"FLIGHTLINE_TAPIS_URL": "https://portals.tapis.io"}},
        "secrets.FLIGHTLINE_INTERNAL_TOKEN",
    ),
    "logins without a key": (
        "local",
        {"settings": {"FLIGHTLINE_TAPIS_CLIENT_ID": "flightline"}},
        "secrets.FLIGHTLINE_SECRETS_KEY",
    ),
    "secret twice": (
        "local",
        {"secrets": {"FLIGHTLINE_TOKEN": {"name": "flightline"}}},
        "FLIGHTLINE_TOKEN is in secrets and in dev.secrets",
    ),
    "agent without a role": ("vault", {"vaultAgent": {"role": ""}}, "set vaultAgent.role"),
    "agent and secret": (
        "vault",
        {"secrets": {"FLIGHTLINE_TOKEN": {"name": "flightline"}}},
        "FLIGHTLINE_TOKEN comes from vaultAgent.secrets and from another secret",
    ),
    "external secrets of no store": (
        "operators",
        {"externalSecrets": {"store": {"name": ""}}},
        "name it in externalSecrets.store.name",
    ),
}


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_that_is_broken_is_told_in_a_sentence(rule: str) -> None:
    name, change, sentence = RULES[rule]
    said = refusal(overlay(profile(name), change))
    assert sentence in said
    assert "nil pointer" not in said


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_breaks_none(name: str) -> None:
    assert refusal(profile(name)) == ""


def test_all_that_is_wrong_is_told_at_once() -> None:
    said = refusal({})
    assert said.count("\n  - ") == 4
    for remedy in (
        "secrets.FLIGHTLINE_TOKEN",
        "rabbitmq.external",
        "mongodb.external",
        "objects.external.url",
    ):
        assert remedy in said


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"replicas": 3}, "replicas"),
        ({"services": {"tiler": {}}}, "tiler"),
        ({"services": {"ingest": {"replica": 1}}}, "replica"),
        ({"services": {"ingest": {"autoscaling": {"by": "cpu"}}}}, "/services/ingest"),
        ({"rabbitmq": {"mode": "bitnami"}}, "/rabbitmq/mode"),
        ({"objects": {"mode": "minio"}}, "/objects/mode"),
        ({"image": {"digests": {"ingest": "latest"}}}, "/image/digests/ingest"),
        ({"networkPolicy": {"clientsFrom": [{}]}}, "/networkPolicy/clientsFrom"),
        ({"dev": {"secrets": None}}, "secrets"),
        ({"services": {"ingest": None}}, "ingest"),
        ({"services": {"ingest": {"scratch": None}}}, "scratch"),
        ({"networkPolicy": {"outside": {"ports": None}}}, "ports"),
        ({"secrets": {"FLIGHTLINE_BUS": {"name": "bus"}}}, "FLIGHTLINE_BUS"),
    ],
)
def test_what_the_schema_does_not_know_is_refused_with_its_place(change: Values, where: str) -> None:
    said = refusal(overlay(profile("local"), change))
    assert where in said
    assert ".tpl" not in said  # not a trace of a template
