import pytest

from odm_gateway.config import EngineKind, Settings
from shared.errors import InvalidInputError
from shared.settings import load


def test_the_built_in_engine_is_the_default() -> None:
    settings = load(Settings)
    assert (settings.engine, settings.port, settings.tasks_at_once) == (EngineKind.LOCAL, 31100, 1)


def test_an_unknown_engine_is_refused_with_what_there_is_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ODM_GATEWAY_ENGINE", "slurm")
    with pytest.raises(
        InvalidInputError, match=r"ODM_GATEWAY_ENGINE.*expected 'local', 'argo' or 'simulate'"
    ):
        load(Settings)
