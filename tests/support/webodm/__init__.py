"""A WebODM of the tests' own: the HTTP contract of version 3.2, over TCP, with whatever may go wrong."""

from tests.support.webodm.accounts import User
from tests.support.webodm.faults import Call, Fault, Kind
from tests.support.webodm.records import Project, Task
from tests.support.webodm.server import WebODMServer, webodm_server

__all__ = ["Call", "Fault", "Kind", "Project", "Task", "User", "WebODMServer", "webodm_server"]
