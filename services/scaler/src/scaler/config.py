"""What can be set for scaler."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from scaler.domain.asks import FACTORS, Asks, Interpolation, Subsampling
from shared.constants import Names
from shared.settings import Duration, Port, ServiceSettings

MIB = 1 << 20


class Settings(ServiceSettings):
    """Read from ``SCALER_*``."""

    model_config = SettingsConfigDict(env_prefix="SCALER_", frozen=True)

    port: Annotated[Port, Field(description="HTTP port; 0 takes a free one.")] = 8003
    lease: Annotated[
        Duration,
        Field(description="How long a silent process keeps an image before another takes it over."),
    ] = timedelta(seconds=30)
    interpolation: Annotated[
        Interpolation,
        Field(
            description="How images of flights and of the WebDAV server are scaled; requests over HTTP name"
            " their own. `cubic` costs the same as `linear`, and is sharper."
        ),
    ] = Interpolation.LINEAR
    images_at_once: Annotated[
        int | None,
        Field(
            gt=0,
            le=256,
            description="Images of flights and jobs that one process reads, scales and writes together; none:"
            " two more than there are cores, each of which has one in a codec.",
        ),
    ] = None
    bytes_in_flight: Annotated[
        int,
        Field(
            ge=32 * MIB, description="Images of flights and jobs, packed, that one process holds in memory."
        ),
    ] = 256 * MIB
    image_bytes_at_most: Annotated[
        int, Field(gt=0, description="Larger images, packed, are rejected, and refused over HTTP.")
    ] = 512 * MIB
    answered_bytes_at_most: Annotated[
        int,
        Field(
            ge=0,
            description="An image that is sent over HTTP is answered at once up to this size; a larger one"
            " becomes a job.",
        ),
    ] = 32 * MIB
    rejected_at_most: Annotated[
        float,
        Field(
            ge=0,
            lt=1,
            description="Share of a flight's images that may be rejected; they are left out, one always may."
            " If there are more, the job fails.",
        ),
    ] = 0.05
    keep_results: Annotated[
        Duration,
        Field(gt=timedelta(), description="How long the result of an image that was sent or named is kept."),
    ] = timedelta(days=1)

    webdav: Annotated[
        bool, Field(description="Whether to look for images on a WebDAV server, where one is configured.")
    ] = True
    raw_names_prefixes: Annotated[
        Names | None,
        Field(
            description="Beginnings of the names of images to scale: with commas between, or a JSON list."
            " Wins over `RAW_NAMES_PREFIXES` of the constants."
        ),
    ] = None
    raw_remote_dir: Annotated[
        str | None,
        Field(
            description="Folder on the WebDAV server that images are taken from. Wins over"
            " `RAW_REMOTE_DIR` of the constants."
        ),
    ] = None
    unsorted_remote_dir: Annotated[
        str | None,
        Field(
            description="Folder on the WebDAV server that scaled images are written to. Wins over"
            " `UNSORTED_REMOTE_DIR` of the constants."
        ),
    ] = None
    frequency: Annotated[
        Duration,
        Field(gt=timedelta(), description="How often to look for images on the WebDAV server."),
    ] = timedelta(seconds=30)
    transfers_at_once: Annotated[
        int,
        Field(gt=0, le=64, description="Images that one process reads from and writes to WebDAV together."),
    ] = 10
    at_rest: Annotated[
        Duration,
        Field(
            description="How long an image on the WebDAV server must not have been written to, besides"
            " looking the same twice."
        ),
    ] = timedelta(seconds=5)

    factor: Annotated[
        float,
        Field(ge=FACTORS[0], le=FACTORS[1], description="By which images on the WebDAV server are scaled."),
    ] = 2.0
    quality: Annotated[
        int | None,
        Field(ge=1, le=100, description="JPEG quality of scaled images; none: that of the original."),
    ] = None
    subsampling: Annotated[
        Subsampling | None,
        Field(description="How much colour a scaled JPEG keeps; none: as much as the original."),
    ] = None
    pixels_at_most: Annotated[
        int,
        Field(gt=0, description="Images with more pixels, before or after scaling, are rejected undecoded."),
    ] = 400_000_000
    webdav_bytes_in_flight: Annotated[
        int,
        Field(
            ge=16 * MIB,
            description="Images of the WebDAV server, packed, that one process holds in memory, at most.",
        ),
    ] = 96 * MIB

    @property
    def asks(self) -> Asks:
        """Return how images on the WebDAV server are scaled."""
        return Asks(self.factor, self.interpolation, self.quality, self.subsampling)
