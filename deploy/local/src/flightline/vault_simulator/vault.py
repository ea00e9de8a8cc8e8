"""A Vault: its engines, tokens and logins, and what is wrong with it now."""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from flightline.vault_simulator.answers import RefusedError
from flightline.vault_simulator.calls import Calls
from flightline.vault_simulator.faults import Faults
from flightline.vault_simulator.kv import Engine, PlainEngine, Values, VersionedEngine
from flightline.vault_simulator.logins import AppRole, KubernetesRole, Logins
from flightline.vault_simulator.tokens import ROOT, Token, Tokens

POLICY = "flightline"
"""The policy of roles: it reads all that is mounted."""


@dataclass(slots=True)
class Condition:
    """What is wrong with it: nothing, at first."""

    is_sealed: bool = False
    is_standby: bool = False
    active_url: str = ""
    """Where a standby sends requests; empty: it knows no active node."""
    is_initialized: bool = True
    denied: tuple[str, ...] = ()
    """Beginnings of paths that nobody may use, such as ``kv/data/webdav``."""
    namespace: str = ""
    """The namespace that everything is in; a request from another one finds nothing."""
    latency_s: float = 0


@dataclass(slots=True)
class SimulatedVault:
    """A Vault in memory."""

    condition: Condition = field(default_factory=Condition)
    mounts: dict[str, Engine] = field(default_factory=dict)
    tokens: Tokens = field(default_factory=Tokens)
    calls: Calls = field(default_factory=Calls)
    faults: Faults = field(default_factory=Faults)
    url: str = ""
    logins: Logins = field(init=False)

    def __post_init__(self) -> None:
        self.logins = Logins(self.tokens)

    def mount(self, path: str, version: int = 2) -> Engine:
        """Mount an engine, and let the role's policy use it."""
        path = path.strip("/")
        engine: Engine = PlainEngine() if version == 1 else VersionedEngine()
        self.mounts[path] = engine
        self.tokens.policies[POLICY] = (*self.tokens.policies.get(POLICY, ()), f"{path}/")
        return engine

    def engine(self, path: str) -> tuple[str, Engine, str]:
        """Return the mount of a path, its engine, and the rest of the path.

        Raises:
            RefusedError: Nothing is mounted there.
        """
        parts = path.split("/")
        for length in range(len(parts), 0, -1):
            mount = "/".join(parts[:length])
            if mount in self.mounts:
                return mount, self.mounts[mount], "/".join(parts[length:])
        reason = f'no handler for route "{path}". route entry not found.'
        raise RefusedError(HTTPStatus.NOT_FOUND, reason)

    def put(self, path: str, values: Values) -> int:
        """Write a secret, such as ``kv/webdav``, and return its version; 0 where none are counted."""
        _, engine, rest = self.engine(path)
        if isinstance(engine, PlainEngine):
            engine.secrets[rest] = values
            return 0
        return int(engine.write(rest, values)["version"])

    def values(self, path: str) -> Values:
        """Return a secret's values now.

        Raises:
            RefusedError: There is none.
        """
        _, engine, rest = self.engine(path)
        if isinstance(engine, PlainEngine):
            return engine.read(rest)
        values: Values = engine.read(rest)[0]["data"] or {}
        return values

    def add_root(self, token_id: str) -> Token:
        """Make a token that may do everything for ever."""
        return self.tokens.issue(token_id, policies=(ROOT,), path="auth/token/root")

    def add_token(self, token_id: str | None = None, **facts: Any) -> Token:
        """Make a token that reads what is mounted."""
        facts = {"policies": ("default", POLICY), "path": "auth/token/create", **facts}
        return self.tokens.issue(token_id, **facts)

    def add_approle(self, name: str, secret_id: str, *, mount: str = "approle", **facts: Any) -> AppRole:
        """Let an AppRole log in."""
        role = AppRole(**{"policies": (POLICY,), "secret_ids": {secret_id: 0}, **facts})
        self.logins.approles.setdefault(mount, {})[name] = role
        return role

    def add_kubernetes_role(
        self, name: str, token: str, *, mount: str = "kubernetes", **facts: Any
    ) -> KubernetesRole:
        """Let pods log in that have a service account token."""
        role = KubernetesRole(**{"policies": (POLICY,), "tokens": {token}, **facts})
        self.logins.kubernetes.setdefault(mount, {})[name] = role
        return role
