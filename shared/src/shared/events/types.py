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
    """As in the NodeODM API, such as ``orthophoto-resolution``."""
    value: str | int | float | bool
    """Of the option's type."""


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
    """Names the flight: the same place, the same id."""
    version: Identifier
    """Names the set of images: other images, other version."""
    name: Annotated[str, Field(min_length=1, max_length=255)]
    """What people call the flight."""
    source: Uri
    """Where the flight lies: ``tapis://``, ``s3://``, ``davs://``, ``https://`` or ``file://``."""
    system_id: str = ""
    """The storage system that the flight lies on, where sources know several."""
    images_path: str = ""
    """Folder of the images, relative to ``source``; empty: ``source`` itself."""
    image_count: Count
    """How many images there are."""
    total_bytes: Count
    """Of the images together."""
    sidecars: tuple[str, ...] = ()
    """Files beside the images that processing wants, relative to ``source``."""
    owner: str = ""
    """Whose flight it is."""
    project_id: str | None = None
    """The project that the flight belongs to."""
    options: FlightOptions = FlightOptions()
    """What the finder wants done with it."""
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
    """What was asked for; none: images as they are."""
    applied: Annotated[float, Field(ge=0.1, le=8)] | None = None
    """What was done; none: nothing yet."""


class ImagesStaged(EventData):
    """Every image of a version is in the object store, verified. Told by ingest, scaler or from outside."""

    type: ClassVar[str] = "images-staged"

    flight_id: Identifier
    """Names the flight: the same place, the same id."""
    version: Identifier
    """Names the set of images, as in ``flight-found``."""
    name: Annotated[str, Field(min_length=1, max_length=255)] = "flight"
    """What people call the flight."""
    prefix: Uri
    """Where the images lie in the object store."""
    manifest: Uri | None = None
    """The list of staged files with sizes and hashes; none: everything below ``prefix`` counts."""
    image_count: Count
    """How many images there are."""
    total_bytes: Count
    """Of the images together."""
    scale: Scale = Scale()
    """The scale that was asked for and the one that the images have."""
    options: FlightOptions = FlightOptions()
    """As in ``flight-found``."""
    rerun: Count = 0
    """As in ``flight-found``."""

    @property
    @override
    def subject(self) -> str:
        """Return the flight's id."""
        return self.flight_id


class ImageScaled(EventData):
    """One image was scaled and its result verified. Told by scaler."""

    type: ClassVar[str] = "image-scaled"

    source: Uri
    """The image that was scaled."""
    target: Uri
    """The result."""
    scale: Annotated[float, Field(ge=0.1, le=8)]
    """Factor between the two."""
    width: Annotated[int, Field(gt=0)]
    """Of the result, in pixels."""
    height: Annotated[int, Field(gt=0)]
    """Of the result, in pixels."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """Of the result's bytes, in hex."""
    flight_id: Identifier | None = None
    """The flight that the image belongs to, if it does to one."""

    @property
    @override
    def subject(self) -> str:
        """Return the flight's id where there is one, else the image."""
        return self.flight_id or self.target


class TaskCompleted(EventData):
    """A task ended, well or badly. Told by odm-gateway, datalab and, of failures, ingest and scaler."""

    type: ClassVar[str] = "task-completed"

    task_id: Identifier
    """Names the task at the service that told this."""
    kind: Literal["odm", "datalab", "ingest", "scaler"]
    """``ingest`` and ``scaler`` tell only of flights that could not be staged, or scaled; ``images-staged``
    tells of the others."""
    name: str
    """What people call the task."""
    status: Literal["completed", "failed", "canceled"]
    """How it ended."""
    error: str | None = None
    """Why it failed."""
    outputs: Uri | None = None
    """Where the products lie in the object store."""
    assets: tuple[str, ...] = ()
    """The products, relative to ``outputs``."""
    summary: dict[str, Any] = Field(default_factory=dict)
    """Figures of the run, such as images used and ground sampling distance."""
    started_at: AwareDatetime | None = None
    """When work on it began."""
    finished_at: AwareDatetime
    """When it ended."""
    flight_id: Identifier | None = None
    """The flight that it was about, if it was about one."""
    version: Identifier | None = None
    """The version of the flight."""
    rerun: Count = 0
    """Which asking for this version it answers, as in ``flight-found``."""
    session_id: str | None = None
    """The data session that it belongs to, if it does to one."""

    @property
    @override
    def subject(self) -> str:
        """Return the flight's id where there is one, else the task's."""
        return self.flight_id or self.task_id


EVENT_TYPES: tuple[type[EventData], ...] = (FlightFound, ImagesStaged, ImageScaled, TaskCompleted)
