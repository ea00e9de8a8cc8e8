"""Puts the parts of jobs together."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from scaler.collections import JOBS, PIECES
from scaler.config import Settings
from scaler.domain.jobs import Job
from scaler.domain.pieces import Piece
from scaler.handlers import begin_job
from scaler.jobs.finishing import Finisher
from scaler.jobs.loop import JobLoop
from scaler.jobs.pieces import PieceLoop
from scaler.jobs.planning import Planner
from scaler.jobs.reading import ImageReader
from scaler.jobs.scaling import ImageScaler
from scaler.loops import forget_expired
from scaler.ports import ScalesImages
from shared.budget import Budget
from shared.cores import cores
from shared.events import ImagesStaged
from shared.messaging.bus import Bus
from shared.messaging.consumer import Consumer
from shared.messaging.relay import OutboxRelay
from shared.platform import Platform
from shared.service import Service
from shared.sources import Sources
from shared.state import Collection
from shared.state.owner import process_owner

READ_AHEAD = 2
"""Images that are read, or written, while each core has one in a codec."""


@dataclass(frozen=True, slots=True)
class Jobs:
    """What routes need of jobs."""

    jobs: Collection[Job]
    pieces: Collection[Piece]
    reader: ImageReader
    codecs: ScalesImages
    budget: Budget
    loop: JobLoop


def run_jobs(
    settings: Settings,
    on: Platform,
    service: Service,
    bus: Bus,
    consumer: Consumer,
    relay: OutboxRelay,
    sources: Sources,
    codecs: ScalesImages,
) -> Jobs:
    """Have ``service`` hear of staged flights and work on jobs."""
    jobs = Collection(on.store, JOBS, Job, wake=relay.wake)
    pieces = Collection(on.store, PIECES, Piece, wake=relay.wake)
    reader = ImageReader(on.objects, sources, settings.image_bytes_at_most)
    budget = Budget(settings.bytes_in_flight)
    loop = JobLoop(
        jobs=jobs,
        pieces=pieces,
        objects=on.objects,
        planner=Planner(on.objects, pieces, on.settings.file_rule),
        finisher=Finisher(on.objects, settings.rejected_at_most),
        owner=process_owner(),
        lease=settings.lease,
        retry_after=on.settings.retry_ladder,
        keep=settings.keep_results,
        look_at_pieces=lambda: work.wake(),  # noqa: PLW0108 - they know each other
    )
    work = PieceLoop(
        jobs=jobs,
        pieces=pieces,
        scaler=ImageScaler(on.objects, reader, codecs, budget),
        bus=bus,
        owner=process_owner(),
        lease=settings.lease,
        at_once=settings.images_at_once or cores() + READ_AHEAD,
        retry_after=on.settings.retry_ladder,
        look_at_jobs=loop.wake,
    )
    consumer.on(ImagesStaged, begin_job, jobs=jobs, asks=settings.asks, wake=loop.wake)
    service.background("jobs", loop.run)
    service.background("pieces", work.run)
    service.background("forget jobs", partial(forget_expired, jobs))
    return Jobs(jobs, pieces, reader, codecs, budget, loop)
