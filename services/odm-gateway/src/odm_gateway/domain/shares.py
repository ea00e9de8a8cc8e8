"""Who has had how much of the slots that tenants share: time, by weight."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

AT_ONCE_S = 60.0
"""What a task counts for as soon as it is taken: slots that fall free together go to several tenants."""
DEBT_AT_MOST_S = 86_400.0
"""Slot time that others may have to catch up with, by weight: what lies further back is forgiven."""


@dataclass(slots=True)
class _Account:
    used_s: float = 0.0
    """Slot time, divided by the weight."""
    in_hand: int = 0


@dataclass(slots=True)
class Shares:
    """Slot time of tenants: whoever waits and has had the least comes next, so that nobody waits for ever.

    Nobody is paid for time in which nothing of theirs waited, or pays for time in which nobody waited.
    """

    weights: Mapping[str, float] = field(default_factory=dict)
    """By tenant; 1 for those that are not named."""
    _accounts: dict[str, _Account] = field(default_factory=dict)
    _waited: frozenset[str] = frozenset()
    _least_s: float = 0.0
    """What the one of those who wait has had that has had the least: newcomers begin there."""
    _counted_at_s: float | None = None

    def ranked(self, waiting: Collection[str], others: Collection[str], now_s: float) -> list[str]:
        """Return tenants in the order of their turns.

        Args:
            waiting: Those with tasks that wait.
            others: More tenants to rank, who keep nobody waiting.
            now_s: The time.
        """
        self._count(now_s)
        if not waiting:
            self._forgive()
        known_s = [self._account(name).used_s for name in waiting if name in self._waited]
        self._least_s = max(self._least_s, min(known_s, default=self._least_s))
        for name in waiting:
            self._let_in(name)
        self._waited = frozenset(waiting)
        self._forget()
        return sorted({*waiting, *others}, key=lambda name: (self._load(name), name))

    def take(self, name: str, now_s: float) -> None:
        """Count another task of a tenant as in hand."""
        self._count(now_s)
        self._account(name).in_hand += 1

    def give_back(self, name: str, now_s: float) -> None:
        """Count one task less of a tenant as in hand."""
        self._count(now_s)
        self._account(name).in_hand -= 1

    def _account(self, name: str) -> _Account:
        return self._accounts.setdefault(name, _Account(self._least_s))

    def _weight(self, name: str) -> float:
        return self.weights.get(name, 1.0)

    def _load(self, name: str) -> float:
        account = self._accounts.get(name, _Account(self._least_s))
        return account.used_s + (account.in_hand + 1) * AT_ONCE_S / self._weight(name)

    def _count(self, now_s: float) -> None:
        passed_s = now_s - (now_s if self._counted_at_s is None else self._counted_at_s)
        self._counted_at_s = now_s
        for name, account in self._accounts.items():
            account.used_s += account.in_hand * passed_s / self._weight(name)

    def _let_in(self, name: str) -> None:
        account = self._account(name)
        if name not in self._waited:
            account.used_s = max(account.used_s, self._least_s)
        account.used_s = min(account.used_s, self._least_s + DEBT_AT_MOST_S / self._weight(name))

    def _forgive(self) -> None:
        self._least_s = 0.0
        for account in self._accounts.values():
            account.used_s = 0.0

    def _forget(self) -> None:
        """Drop the accounts that tell no more than a new one would."""
        self._accounts = {
            name: account
            for name, account in self._accounts.items()
            if account.in_hand or name in self._waited or account.used_s > self._least_s
        }
