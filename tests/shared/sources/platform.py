"""Settings that allow nothing but what a test names."""

from __future__ import annotations

from pathlib import Path

from shared.settings import PlatformSettings
from tests.support.s3 import ACCESS_KEY, REGION, SECRET_KEY, S3Server


def settings(*folders: Path, s3: S3Server | None = None) -> PlatformSettings:
    """Return settings of a process on a broker, which may read ``folders`` only, and S3."""
    return PlatformSettings(
        bus="amqp://nobody@127.0.0.1:1/",
        folders=folders,
        s3_endpoint=s3.endpoint_url if s3 else None,
        s3_region=REGION,
        s3_access_key=ACCESS_KEY,
        s3_secret_key=SECRET_KEY,
    )
