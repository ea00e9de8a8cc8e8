"""Operations are found where they lie, and importing them loads nothing that only computing needs."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any, ClassVar, cast

import pytest

from datalab.operations.operation import Inputs, Results, Work
from datalab.operations.registry import AnyOperation, Registry, registry
from datalab.wizard import description

HEAVY = ("numba", "photutils", "cv2", "scipy", "astropy", "imagecodecs")


def _loaded(code: str) -> set[str]:
    told = f"{code}; import sys, json; print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


def test_the_http_interface_imports_nothing_that_computes() -> None:
    loaded = _loaded(
        "import datalab.main; from datalab.operations.registry import registry; assert registry()"
    )

    assert loaded == set()


def test_every_operation_has_what_clients_build_a_form_from() -> None:
    for operation in registry():
        told = description(operation)
        assert told["name"] == operation.name
        assert told["description"].endswith(".")
        assert told["category"] in ("image", "data"), operation.name
        for key, field in told["inputs"].items():
            assert {"name", "description", "type"} <= field.keys(), (operation.name, key)
            assert field["name"], (operation.name, key)
        assert json.loads(json.dumps(told, allow_nan=False)) == told


def test_two_operations_of_one_name_are_refused() -> None:
    class One:
        name: ClassVar[str] = "Same"
        description: ClassVar[str] = "One."
        category: ClassVar[str] = "data"
        version: ClassVar[int] = 1
        inputs: ClassVar[type[Inputs]] = Inputs

        @staticmethod
        def compute(inputs: Inputs, work: Work) -> Results:
            del inputs, work
            return Results()

    same: Any = One
    with pytest.raises(ValueError, match="Same"):
        Registry.of(cast("AnyOperation", same), cast("AnyOperation", same))
