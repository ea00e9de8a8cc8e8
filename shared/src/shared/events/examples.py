"""One event of each type, as it might really be: for the documents, and to try things out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from shared.events.envelope import Event, EventData
from shared.events.types import (
    FlightFound,
    FlightOptions,
    ImageScaled,
    ImagesStaged,
    Option,
    Scale,
    TaskCompleted,
)

FLIGHT = "5f1c0a7e9b3d4f62"
VERSION = "c2d84e6b71f0a935"
OPTIONS = FlightOptions(process=(Option(name="orthophoto-resolution", value=5),))

EXAMPLES: dict[type[EventData], EventData] = {
    FlightFound: FlightFound(
        flight_id=FLIGHT,
        version=VERSION,
        name="north-field-2026-06-14",
        source="s3://flights/north-field-2026-06-14",
        images_path="code/images",
        image_count=118,
        total_bytes=912_680_550,
        sidecars=("gcp_list.txt",),
        owner="mira",
        options=OPTIONS,
    ),
    ImagesStaged: ImagesStaged(
        flight_id=FLIGHT,
        version=VERSION,
        name="north-field-2026-06-14",
        prefix=f"s3://flightline/staged/{FLIGHT}/{VERSION}/",
        image_count=118,
        total_bytes=912_680_550,
        scale=Scale(),
        options=OPTIONS,
    ),
    ImageScaled: ImageScaled(
        source="davs://cloud.example.org/raw/DJI_0001.JPG",
        target="davs://cloud.example.org/scaled/DJI_0001.JPG",
        scale=2.0,
        width=8000,
        height=6000,
        sha256="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    ),
    TaskCompleted: TaskCompleted(
        task_id="0f7c3a52-6a5e-4d0f-8a39-3b1f0d6c2e11",
        kind="odm",
        name="north-field-2026-06-14",
        status="completed",
        outputs="s3://flightline/outputs/0f7c3a52-6a5e-4d0f-8a39-3b1f0d6c2e11/",
        assets=("odm_orthophoto/odm_orthophoto.tif",),
        started_at=datetime(2026, 6, 14, 9, 30, tzinfo=UTC),
        finished_at=datetime(2026, 6, 14, 9, 34, 12, tzinfo=UTC),
        flight_id=FLIGHT,
        version=VERSION,
    ),
}

_TELLERS = {
    FlightFound: "flightline/discovery",
    ImagesStaged: "flightline/ingest",
    ImageScaled: "flightline/scaler",
    TaskCompleted: "flightline/odm-gateway",
}


def example(data_type: type[EventData]) -> Event[Any]:
    """Return an example of an event, the same at every call."""
    data = EXAMPLES[data_type]
    return Event[Any](
        id="8c9f2b64-3c1e-4a57-9a10-6f2d8f0b7a01",
        source=_TELLERS[data_type],
        type=data.type,
        time=datetime(2026, 6, 14, 9, 34, 12, tzinfo=UTC),
        subject=data.subject,
        data=data,
    )
