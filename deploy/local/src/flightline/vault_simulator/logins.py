"""Logins: AppRoles and Kubernetes roles, and the tokens that they give."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from flightline.vault_simulator.answers import RefusedError, unknown
from flightline.vault_simulator.tokens import Token, Tokens


@dataclass(slots=True)
class Role:
    """What a login gives: policies, and for how long."""

    policies: tuple[str, ...] = ()
    lease_s: int = 3600
    longest_s: int = 0
    is_renewable: bool = True

    def token(self, tokens: Tokens, path: str, meta: dict[str, str]) -> Token:
        """Issue a token."""
        return tokens.issue(
            policies=("default", *self.policies),
            path=path,
            ttl_s=self.lease_s,
            longest_s=self.longest_s,
            is_renewable=self.is_renewable,
            meta=meta,
        )


@dataclass(slots=True)
class AppRole(Role):
    """A role that is known by its id, and proven by a secret id if it has any."""

    role_id: str = field(default_factory=lambda: secrets.token_hex(8))
    needs_secret_id: bool = True
    secret_ids: dict[str, int] = field(default_factory=dict, repr=False)
    """How often each may still be used; 0: for ever."""

    def use(self, secret_id: str) -> bool:
        """Return whether a secret id is good, and count its use."""
        if not self.needs_secret_id:
            return True
        left = self.secret_ids.get(secret_id)
        if left == 1:
            del self.secret_ids[secret_id]
        elif left:
            self.secret_ids[secret_id] = left - 1
        return left is not None


@dataclass(slots=True)
class KubernetesRole(Role):
    """A role that pods have whose service account tokens are known."""

    tokens: set[str] = field(default_factory=set, repr=False)


class Logins:
    """Who can log in, by the path of the login and the name of the role."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self.approles: dict[str, dict[str, AppRole]] = {"approle": {}}
        self.kubernetes: dict[str, dict[str, KubernetesRole]] = {"kubernetes": {}}

    def log_in(self, mount: str, body: dict[str, Any]) -> Token:
        """Return the token of a login.

        Raises:
            RefusedError: Nothing is mounted there, or who asks is not known.
        """
        if mount in self.approles:
            return self._approle(mount, body)
        if mount in self.kubernetes:
            return self._kubernetes(mount, body)
        raise unknown()

    def _approle(self, mount: str, body: dict[str, Any]) -> Token:
        secret_id = str(body.get("secret_id") or "")
        for name, role in self.approles[mount].items():
            if role.role_id != body.get("role_id"):
                continue
            if role.needs_secret_id and not secret_id:
                raise RefusedError(HTTPStatus.BAD_REQUEST, "missing secret_id")
            if role.use(secret_id):
                return role.token(self._tokens, f"auth/{mount}/login", {"role_name": name})
        raise RefusedError(HTTPStatus.BAD_REQUEST, "invalid role or secret ID")

    def _kubernetes(self, mount: str, body: dict[str, Any]) -> Token:
        name = str(body.get("role") or "")
        role = self.kubernetes[mount].get(name)
        if role is None:
            raise RefusedError(HTTPStatus.BAD_REQUEST, f'invalid role name "{name}"')
        if body.get("jwt") not in role.tokens:
            raise unknown()
        return role.token(self._tokens, f"auth/{mount}/login", {"role": name})
