"""``datalab populate-test-data``: somebody to try datalab as, with something to look at."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from datalab.administering.telling import tell
from datalab.clock import now_us
from datalab.config import Settings
from datalab.domain.asked import AskedOperation
from datalab.domain.sessions import DataSession
from datalab.domain.users import Caller
from datalab.laboratory import Laboratory
from datalab.resources import SERVICE, resources
from shared.errors import ConflictError, NotFoundError, PermanentError
from shared.service import Resources
from shared.service.running import running
from shared.settings import load

USER, PASSWORD, TOKEN = "test_user", "test_pass", "123456789abcdefg"
EMPTY, FILLED = "Empty Data Session", "MyDataSession1"
OPERATIONS = ("Median", "Normalization")
FRAMES = 3
SIDE_PX = 256
STARS = 40
_CARDS = [
    f"{name:<8}= {value:>20}".ljust(80).encode()
    for name, value in {
        "SIMPLE": "T",
        "BITPIX": -32,
        "NAXIS": 2,
        "NAXIS1": SIDE_PX,
        "NAXIS2": SIDE_PX,
        "EXPTIME": 10.0,
    }.items()
] + [b"FILTER  = 'rp      '".ljust(80), b"OBJECT  = 'test    '".ljust(80), b"END".ljust(80)]


def add_command(commands: Any) -> None:
    """Add the command."""
    command = commands.add_parser(
        "populate-test-data",
        help=f"make {USER} with the password {PASSWORD}, the token {TOKEN} and two sessions",
    )
    command.add_argument("-u", "--user", default=USER, help="whom to make the sessions for")
    command.add_argument(
        "--yes", action="store_true", help="also where there are other users: everybody knows this token"
    )
    command.set_defaults(run=_populate)


async def _populate(given: argparse.Namespace) -> None:
    settings = load(Settings, port=0, workers=0)
    await populated(resources(settings), settings, given.user, is_sure=given.yes)


async def populated(parts: Resources, settings: Settings, name: str = USER, *, is_sure: bool = False) -> None:
    """Make the test data with a service of its own, beside others or alone; whoever works computes it.

    Raises:
        ConflictError, NotFoundError: See ``populate``.
    """
    failed: PermanentError | None = None
    async with running(SERVICE, parts, settings) as (_, state):
        try:
            await populate(state["laboratory"], name, is_sure=is_sure)
        except PermanentError as error:  # within the block it would be one of a group
            failed = error
    if failed:
        raise failed


async def populate(lab: Laboratory, name: str = USER, *, is_sure: bool = False) -> None:
    """Make what is missing of the test data; what is there stays.

    Raises:
        ConflictError: There are other users, and nobody said that it is meant.
        NotFoundError: There is no such user, and it is not the one that would be made.
    """
    if name == USER:
        await _make_user(lab, is_sure=is_sure)
    await lab.accounts.user(name)
    await _session(lab, name, EMPTY)
    session = await _session(lab, name, FILLED)
    files = [await _upload(lab, name, number) for number in range(1, FRAMES + 1)]
    await lab.sessions.change(name, session.number, name=None, items=files)
    there = {operation.name for operation in await lab.sessions.operations_of([session.number])}
    for operation in OPERATIONS:
        if operation in lab.registry and operation not in there:
            await _ask(lab, session, operation, {"input_files": files})
    tell(f"{name} has the sessions {EMPTY} and {FILLED}.")
    if name == USER:
        tell(f"Log in with {PASSWORD}, or send `Authorization: Token {TOKEN}`.")


async def _make_user(lab: Laboratory, *, is_sure: bool) -> None:
    users = lab.accounts.users
    others = await users.count({}) - (1 if await users.get(USER) else 0)
    if others and not is_sure:
        raise ConflictError(
            f"there are {others} other users here, and everybody knows the password of {USER}: say --yes"
        )
    try:
        await lab.accounts.user(USER)
    except NotFoundError:
        await lab.accounts.add_user(USER, PASSWORD)
    await lab.accounts.add_token(USER, label="test data", token=TOKEN)


async def _session(lab: Laboratory, owner: str, name: str) -> DataSession:
    found = await lab.sessions.documents.find({"owner": owner, "removing": False, "name": name}, limit=1)
    return found.items[0].body if found.items else await lab.sessions.create(owner, name, [])


async def _upload(lab: Laboratory, owner: str, number: int) -> dict[str, str]:
    content = await asyncio.to_thread(_frame, number)

    async def whole() -> AsyncIterator[bytes]:
        yield content

    upload, _ = await lab.uploads.add(owner, f"test-frame-{number}.fits", whole())
    return {"type": "fitsfile", "source": "upload", "basename": upload.basename}


async def _ask(lab: Laboratory, session: DataSession, name: str, inputs: Mapping[str, Any]) -> None:
    operation = AskedOperation(
        number=await lab.sessions.numbers.next("operation"),
        session=session.number,
        owner=session.owner,
        name=name,
        input_data=dict(inputs),
        created_us=now_us(),
    )
    await lab.operations.ask(operation, Caller(session.owner))


def _frame(number: int) -> bytes:
    """Return a frame of stars as a FITS file: the same stars in each, other noise."""
    import numpy as np  # noqa: PLC0415 - serving needs no numbers

    sky, noise = np.random.default_rng(0), np.random.default_rng(number)
    rows, columns = np.mgrid[:SIDE_PX, :SIDE_PX]
    pixels = noise.normal(200.0, 8.0, (SIDE_PX, SIDE_PX))
    for x, y, flux in sky.uniform((10, 10, 300), (SIDE_PX - 10, SIDE_PX - 10, 9000), (STARS, 3)):
        pixels += flux * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 4.5)
    return _block(_CARDS, b" ") + _block([pixels.astype(">f4").tobytes()], b"\0")


def _block(parts: Sequence[bytes], pad: bytes) -> bytes:
    """Return a part of a FITS file: a multiple of 2880 bytes."""
    content = b"".join(parts)
    return content + pad * (-len(content) % 2880)
