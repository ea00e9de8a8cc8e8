"""Finds the operations: the class of each module of this package that has the form of one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import Any, cast

from datalab import operations
from datalab.operations.operation import Inputs, Operation

AnyOperation = type[Operation[Any]]


@dataclass(frozen=True, slots=True)
class Registry:
    """The operations that there are, by the names that clients send."""

    by_name: Mapping[str, AnyOperation]

    @classmethod
    def of(cls, *found: AnyOperation) -> Registry:
        """Return a registry of these.

        Raises:
            ValueError: Two have the same name.
        """
        by_name = {operation.name: operation for operation in found}
        if len(by_name) < len(found):
            raise ValueError(f"two operations share a name: {sorted(one.name for one in found)}")
        return cls(by_name)

    def __iter__(self) -> Iterator[AnyOperation]:
        return iter(self.by_name.values())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in self.by_name

    def __getitem__(self, name: str) -> AnyOperation:
        return self.by_name[name]


@cache
def registry() -> Registry:
    """Return the operations of this package, sorted by name."""
    return Registry.of(*sorted(_introspected(_modules()), key=lambda operation: operation.name))


def _modules() -> Iterator[ModuleType]:
    for module in iter_modules(operations.__path__):
        yield import_module(f"{operations.__name__}.{module.name}")


def _introspected(modules: Iterable[ModuleType]) -> Iterator[AnyOperation]:
    for module in modules:
        for value in vars(module).values():
            if _is_operation(value) and value.__module__ == module.__name__:
                yield cast(AnyOperation, value)


def _is_operation(value: object) -> bool:
    inputs = getattr(value, "inputs", None)
    return (
        isinstance(value, type)
        and isinstance(getattr(value, "name", None), str)
        and isinstance(inputs, type)
        and issubclass(inputs, Inputs)
        and callable(getattr(value, "compute", None))
    )
