"""Datalab's client for notebooks and scripts.

>>> from datalab_client import Datalab
>>> lab = Datalab("http://127.0.0.1:8006", token="…")
>>> median = lab.session("M51 tonight").run("Median", input_files=["frame-1", "frame-2"])
>>> median.wait().download("results")
"""

from datalab_client.descriptions import Description
from datalab_client.errors import (
    BusyError,
    DatalabError,
    DownloadError,
    InvalidError,
    NotThereError,
    OperationFailedError,
    ServerError,
    StillRunningError,
    UnauthorizedError,
    UnreachableError,
)
from datalab_client.inputs import Channel, From
from datalab_client.lab import Datalab
from datalab_client.operations import Operation
from datalab_client.recipes import Recipe, Run, Step
from datalab_client.results import Result
from datalab_client.sessions import Session
from datalab_client.uploads import Upload

__all__ = [
    "BusyError",
    "Channel",
    "Datalab",
    "DatalabError",
    "Description",
    "DownloadError",
    "From",
    "InvalidError",
    "NotThereError",
    "Operation",
    "OperationFailedError",
    "Recipe",
    "Result",
    "Run",
    "ServerError",
    "Session",
    "Step",
    "StillRunningError",
    "UnauthorizedError",
    "UnreachableError",
    "Upload",
]
