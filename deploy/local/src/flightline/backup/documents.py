"""Every collection of every service, and what its documents are."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel

import datalab.collections as of_datalab
import discovery.collections as of_discovery
import ingest.collections as of_ingest
import mover.collections as of_mover
import scaler.collections as of_scaler
from datalab.domain.asked import AskedOperation
from datalab.domain.computations import Computation
from datalab.domain.recipes import Recipe
from datalab.domain.runs import Made, Run
from datalab.domain.sessions import DataSession
from datalab.domain.uploads import Upload
from datalab.domain.users import Token
from datalab.domain.users import User as DatalabUser
from datalab.execution.collections import COMPUTATIONS
from datalab.numbers import Counter as DatalabCounter
from discovery.domain.flights import Flight, PostedEvent
from discovery.domain.logins import Login, OAuthState, Session
from discovery.domain.notifications import Notice
from discovery.domain.preferences import Plan
from discovery.domain.projects import Counter, Project
from ingest.domain.transfers import FileRecord, Transfer
from mover.domain.moves import Move
from mover.domain.schedule import Schedule
from odm_gateway.adapters.accounts import LOGINS, USERS
from odm_gateway.adapters.console_log import CONSOLE, ConsoleChunk
from odm_gateway.adapters.uploads import UPLOAD_FILES, UPLOADS
from odm_gateway.domain.logins import Login as NodeLogin
from odm_gateway.domain.logins import User as NodeUser
from odm_gateway.domain.tasks import Task
from odm_gateway.domain.uploads import Draft, UploadedFile
from odm_gateway.loops import TASKS
from scaler.domain.jobs import Job
from scaler.domain.pieces import Piece
from scaler.domain.raw_images import RawImage
from scaler.webdav.mode import Switch
from shared.state import CollectionSpec


@dataclass(frozen=True, slots=True)
class Kept:
    """A collection and the model of its documents."""

    spec: CollectionSpec
    model: type[BaseModel]


KEPT: tuple[Kept, ...] = (
    Kept(of_discovery.POSTED, PostedEvent),
    Kept(of_discovery.FLIGHTS, Flight),
    Kept(of_ingest.TRANSFERS, Transfer),
    Kept(of_ingest.JOURNAL, FileRecord),
    Kept(of_scaler.JOBS, Job),
    Kept(of_scaler.PIECES, Piece),
    Kept(of_scaler.RAW_IMAGES, RawImage),
    Kept(of_scaler.SWITCHES, Switch),
    Kept(of_mover.SCHEDULE, Schedule),
    Kept(of_mover.MOVES, Move),
    Kept(USERS, NodeUser),
    Kept(LOGINS, NodeLogin),
    Kept(UPLOADS, Draft),
    Kept(UPLOAD_FILES, UploadedFile),
    Kept(TASKS, Task),
    Kept(CONSOLE, ConsoleChunk),
    Kept(of_datalab.USERS, DatalabUser),
    Kept(of_datalab.TOKENS, Token),
    Kept(of_datalab.UPLOADS, Upload),
    Kept(of_datalab.RECIPES, Recipe),
    Kept(of_datalab.SESSIONS, DataSession),
    Kept(of_datalab.RUNS, Run),
    Kept(of_datalab.RUNS_MADE_OF, Made),
    Kept(of_datalab.OPERATIONS, AskedOperation),
    Kept(COMPUTATIONS, Computation),
    Kept(of_discovery.LOGINS, Login),
    Kept(of_discovery.OAUTH_STATES, OAuthState),
    Kept(of_discovery.SESSIONS, Session),
    Kept(of_discovery.PLANS, Plan),
    Kept(of_discovery.PROJECTS, Project),
    Kept(of_discovery.NOTICES, Notice),
    Kept(of_discovery.COUNTERS, Counter),
    Kept(of_datalab.COUNTERS, DatalabCounter),
)
"""In the order in which a server is read, document by document, while services run: who tells before who
hears, an aggregate before its parts, and the last numbers that were given after all that have one."""

SPECS = tuple(kept.spec for kept in KEPT)
