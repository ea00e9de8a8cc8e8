"""The four events that services and outside systems exchange."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from typing_extensions import override

from shared.events.envelope import EventData

Identifier = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9._-]+$")]
Count = Annotated[int, Field(ge=0)]
Uri = Annotated[str, Field(pattern=r"^[a-z][a-z0-9+.-]*://", max_length=4096)]


class Option(BaseModel):
    """One processing option, as NodeODM's clients write it."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)

    name: Annotated[str, Field(min_length=1, max_length=100)]
    value: str | int | float | bool


class FlightOptions(BaseModel):
    """What the finder of a flight wants done with it."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)

    scale: Annotated[float, Field(ge=0.1, le=8)] | None = None
    """Factor by which images are scaled before processing; none: left as they are."""
    process: tuple[Option, ...] = ()
    """Options of the photogrammetry engine."""
    skip_processing: bool = False
    """Stage the images and stop there."""


class FlightFound(EventData):
    """A complete flight is there and has stopped changing. Told by discovery, or by an outside system."""

    type: ClassVar[str] = "flight-found"

    flight_id: Identifier
    version: Identifier
    """Names the set of images: other images, other version."""
    name: Annotated[str, Field(min_length=1, max_length=255)]
    source: Uri
    """Where the flight lies: ``tapis://``, ``s3://``, ``davs://``, ``https://`` or ``file://``."""
    system_id: str = ""
    images_path: str = ""
    """Folder of the images, relative to ``source``; empty: ``source`` itself."""
    image_count: Count
    total_bytes: Count
    sidecars: tuple[str, ...] = ()
    """Files beside the images that processing wants, relative to ``source``."""
    owner: str = ""
    project_id: str | None = None
    options: FlightOptions = FlightOptions()
    rerun: Count = 0
    """How often this version has been asked for again; each number is processed once."""

    @property
    @override
    def subject(self) -> str:
        """Return the flight's id."""
        return self.flight_id


class Scale(BaseModel):
    """The scale that was asked for and the one that the images have."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)

    requested: Annotated[float, Field(ge=0.1, le=8)] | None = None
    applied: Annotated[float, Field(ge=0.1, le=8)] | None = None


class ImagesStaged(EventData):
    """Every image of a version is in the object store, verified. Told by ingest, scaler or from outside."""

    type: ClassVar[str] = "images-staged"

    flight_id: Identifier
    version: Identifier
    name: Annotated[str, Field(min_length=1, max_length=255)] = "flight"
    prefix: Uri
    """Where the images lie in the object store."""
    manifest: Uri | None = None
    """The list of staged files with sizes and hashes; none: everything below ``prefix`` counts."""
    image_count: Count
    total_bytes: Count
    scale: Scale = Scale()
    options: FlightOptions = FlightOptions()
    rerun: Count = 0

    @property
    @override
    def subject(self) -> str:
        """Return the flight's id."""
        return self.flight_id


class ImageScaled(EventData):
    """One image was scaled and its result verified. Told by scaler."""

    type: ClassVar[str] = "image-scaled"

    source: Uri
    target: Uri
    scale: Annotated[float, Field(ge=0.1, le=8)]
    width: Annotated[int, Field(gt=0)]
    height: Annotated[int, Field(gt=0)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    flight_id: Identifier | None = None

    @property
    @override
    def subject(self) -> str:
        """Return the flight's id where there is one, else the image."""
        return self.flight_id or self.target


class TaskCompleted(EventData):
    """A task ended, well or badly. Told by odm-gateway, datalab and, of failures, ingest."""

    type: ClassVar[str] = "task-completed"

    task_id: Identifier
    kind: Literal["odm", "datalab", "ingest"]
    """``ingest`` tells only of flights that could not be staged; ``images-staged`` tells of the others."""
    name: str
    status: Literal["completed", "failed", "canceled"]
    error: str | None = None
    outputs: Uri | None = None
    """Where the products lie in the object store."""
    assets: tuple[str, ...] = ()
    """The products, relative to ``outputs``."""
    summary: dict[str, Any] = Field(default_factory=dict)
    """Figures of the run, such as images used and ground sampling distance."""
    started_at: AwareDatetime | None = None
    finished_at: AwareDatetime
    flight_id: Identifier | None = None
    version: Identifier | None = None
    rerun: Count = 0
    session_id: str | None = None

    @property
    @override
    def subject(self) -> str:
        """Return the flight's id where there is one, else the task's."""
        return self.flight_id or self.task_id


EVENT_TYPES: tuple[type[EventData], ...] = (FlightFound, ImagesStaged, ImageScaled, TaskCompleted)
