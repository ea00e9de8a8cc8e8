"""``datalab worker`` with the small operations of tests."""

from __future__ import annotations

from pydantic_settings import SettingsConfigDict
from typing_extensions import override

from datalab.execution.config import ExecutionSettings
from datalab.execution.worker_command import work
from tests.support.datalab_operations import REGISTRY


class WorkerSettings(ExecutionSettings):
    """Read from ``DATALAB_*``, without what the HTTP interface adds."""

    model_config = SettingsConfigDict(env_prefix="DATALAB_", frozen=True)

    port: int = 0

    @property
    @override
    def is_guarded(self) -> bool:
        """Return True: nothing is served that needs a token."""
        return True


def main() -> None:
    """Be a worker until SIGTERM."""
    work(WorkerSettings, REGISTRY)


if __name__ == "__main__":
    main()
