"""What can be set for running operations."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, HttpUrl, SecretStr

from shared.settings import CommaList, Duration, Port, ServiceSettings

MIB = 1 << 20
GIB = 1 << 30


def _absolute(path: Path) -> Path:
    return path.expanduser().absolute()


class ExecutionSettings(ServiceSettings):
    """The part of datalab's settings that is about running operations."""

    workers: Annotated[
        int | None,
        Field(
            ge=0,
            le=256,
            description="Computations at a time. None: as many as there are cores in `datalab worker`; beside"
            " the HTTP interface one on the embedded bus, and none on a broker.",
        ),
    ] = None
    worker_port: Annotated[
        Port, Field(description="Port of `datalab worker` for health and metrics; 0 takes a free one.")
    ] = 0
    memory_bytes: Annotated[
        int, Field(ge=128 * MIB, description="Memory that one computation may take; more ends it.")
    ] = 2 * GIB
    time_limit: Annotated[
        Duration, Field(gt=timedelta(), description="How long one computation may take.")
    ] = timedelta(hours=1)
    idle: Annotated[
        Duration,
        Field(gt=timedelta(), description="After how long without work a computing process ends."),
    ] = timedelta(minutes=2)
    crashes: Annotated[
        int,
        Field(gt=0, le=20, description="How often a computing process may end over one computation."),
    ] = 3
    lease: Annotated[
        Duration,
        Field(
            ge=timedelta(seconds=1),
            description="How long a silent worker keeps a computation before another takes it over.",
        ),
    ] = timedelta(seconds=30)
    keep_results: Annotated[
        Duration,
        Field(description="How long results are kept that no operation points to any more."),
    ] = timedelta(days=7)
    work_folder: Annotated[
        Path | None,
        AfterValidator(lambda path: path and _absolute(path)),
        Field(
            description="Folder for downloads, results on their way and compiled code, shared by the workers"
            " of one host; none: `datalab` in `FLIGHTLINE_HOME`."
        ),
    ] = None
    cache_bytes: Annotated[
        int, Field(ge=0, description="Downloaded files that are kept in `DATALAB_WORK_FOLDER`, at most.")
    ] = 10 * GIB
    file_bytes_at_most: Annotated[
        int, Field(gt=0, description="The largest file that operations work on.")
    ] = 4 * GIB
    archive_url: Annotated[
        HttpUrl, Field(description="The archive of frames, as the science archive's API serves it.")
    ] = HttpUrl("https://archive-api.lco.global/")
    archive_token: Annotated[
        SecretStr | None,
        Field(
            description="Token by which workers ask the archive for a new link when one has lapsed; users'"
            " access was checked before. None: users have to retry then."
        ),
    ] = None
    archive_patience: Annotated[
        Duration,
        Field(gt=timedelta(), description="How long to wait for the archive's next bytes."),
    ] = timedelta(seconds=20)
    s3_roots: Annotated[
        CommaList,
        Field(
            description="What users may name as `s3://` inputs, such as `s3://frames/public/`, with commas"
            " between; none: nothing."
        ),
    ] = ()
    file_roots: Annotated[
        CommaList,
        Field(
            description="Folders of the workers' machine that users may name files of; none: nothing.",
        ),
    ] = ()
    tap_url: Annotated[
        HttpUrl, Field(description="TAP service with Gaia's DR3 that the HR Diagram asks.")
    ] = HttpUrl("https://gea.esac.esa.int/tap-server/tap")
    fits_compression: Annotated[
        Literal["gzip", "none", "rice"],
        Field(
            description="How resulting images are packed: `gzip` and `none` keep every bit, `rice` quantises"
            " and is smaller and quicker."
        ),
    ] = "gzip"
    flight_owner: Annotated[
        str,
        Field(
            description="The user who gets a session for each flight that was processed, and may use its"
            " products; empty: no sessions are made."
        ),
    ] = ""
    url_key: Annotated[
        SecretStr | None,
        Field(
            description="Key that URLs of results in a `file://` store are signed with. Without it one is"
            " kept in `FLIGHTLINE_HOME`, which is enough on one host."
        ),
    ] = None
