"""Who holds a lease: one process of one host, recognisable after its death.

A lease of a process that died lapses by itself; on the same host nobody has to wait for that, because the
owner's name tells which process it was.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

from shared.state.documents import Collection, LeaseLostError
from shared.state.metrics import LEASE_TAKEOVERS
from shared.state.port import Where

START_TIME_FIELD = 19
"""Of ``/proc/PID/stat``, counted behind the command's closing parenthesis (proc(5), field 22)."""


def process_owner() -> str:
    """Return this process's name as an owner of leases."""
    return f"{socket.gethostname()}/{_pid_namespace()}{os.getpid()}/{_started(os.getpid())}"


def is_gone(owner: str) -> bool:
    """Return whether ``owner`` was a process of this host that does not run any more."""
    host, _, rest = owner.partition("/")
    process, _, started = rest.partition("/")
    pid = process.removeprefix(_pid_namespace())
    if host != socket.gethostname() or not pid.isdigit():
        return False
    return _started(int(pid)) != started


def _pid_namespace() -> str:
    """Return the namespace that process ids count in: containers may share a host name, but not the ids."""
    try:
        return f"{Path('/proc/self/ns/pid').readlink().name}:"
    except OSError:
        return ""


async def release_gone(collection: Collection[Any], where: Where) -> int:
    """Give back the leases that dead processes of this host left on matching documents; return how many."""
    released = 0
    async for document in collection.each(where):
        lease = document.record.lease
        if lease is not None and is_gone(lease.owner):
            try:
                await collection.release(document.id, owner=lease.owner)
            except LeaseLostError:  # somebody else was faster
                continue
            LEASE_TAKEOVERS.labels(collection.spec.name, "gone").inc()
            released += 1
    return released


def _started(pid: int) -> str:
    """Return when the process began, in a form that no later process shares; empty if there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text()[:8]
    except FileNotFoundError:
        return _alive_without_proc(pid)
    return f"{boot}-{stat.rpartition(')')[2].split()[START_TIME_FIELD]}"


def _alive_without_proc(pid: int) -> str:
    if Path("/proc/self").exists():
        return ""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        pass
    return "alive"
