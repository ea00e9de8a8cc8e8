"""Lists of operations: what is written once is not what is told for ever."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from datalab.domain.asked import AskedOperation, State
from datalab.domain.computations import Computation
from datalab.execution.collections import COMPUTATIONS
from datalab.execution.links import Links
from datalab.execution.showing import Showing
from datalab.listing import Listing
from datalab.wire.answers import Written, json_bytes
from shared.state import Collection
from tests.datalab.api.calling import SESSIONS, asked, made, operations
from tests.support.lab import RunningLab

FILE = {"key": "datalab/results/ab/o.fits", "size_bytes": 3, "sha256": "ab"}
OUTPUT = {
    "files": [{"basename": "ab", "type": "fits", "files": {"fits": FILE}, "comment": "", "facts": {}}],
    "data": [],
    "provenance": {},
}


def change(lab: RunningLab, number: int, **changes: Any) -> AskedOperation:
    async def changed() -> AskedOperation:
        document = await lab.operations.update(f"o{number}", lambda one: one.model_copy(update=changes))
        return document.body

    return lab.do(changed())


def listed(me: httpx.Client, session: int) -> list[dict[str, Any]]:
    (found,) = [one for one in me.get(SESSIONS).json()["results"] if one["id"] == session]
    assert found["operations"] == me.get(f"{SESSIONS}{session}/").json()["operations"]
    assert found["operations"] == me.get(operations(session)).json()["results"]
    return list(found["operations"])


def test_an_operation_in_a_list_is_as_it_is_by_itself(lab: RunningLab, me: httpx.Client) -> None:
    session = made(me)["id"]
    number = asked(me, session)["id"]
    change(lab, number, state=State.COMPLETED, progress=1.0, output=OUTPUT)

    alone = me.get(f"{operations(session)}{number}/").json()

    assert listed(me, session) == listed(me, session) == [alone]
    assert alone["output"]["output_files"][0]["fits_url"].startswith(lab.url)


def test_whatever_changes_shows_in_the_next_list(lab: RunningLab, me: httpx.Client) -> None:
    session = made(me)["id"]
    number = asked(me, session)["id"]
    seen = [listed(me, session)[0]["status"]]

    for state in (State.FAILED, State.COMPLETED, State.CANCELLED):
        change(lab, number, state=state, message=f"now {state}")
        (one,) = listed(me, session)
        seen.append(one["message"])

    assert seen == ["PENDING", "now FAILED", "now COMPLETED", "now CANCELLED"]


def test_what_was_deleted_is_in_no_list(lab: RunningLab, me: httpx.Client) -> None:
    session = made(me)["id"]
    first, second = (asked(me, session, threshold=value)["id"] for value in (1, 2))
    change(lab, first, state=State.COMPLETED, progress=1.0, output=OUTPUT)
    assert [one["id"] for one in listed(me, session)] == [first, second]

    me.delete(f"{operations(session)}{first}/")

    assert [one["id"] for one in listed(me, session)] == [second]


def test_urls_begin_with_the_address_that_was_asked(lab: RunningLab, me: httpx.Client) -> None:
    session = made(me)["id"]
    change(lab, asked(me, session)["id"], state=State.COMPLETED, progress=1.0, output=OUTPUT)
    urls = []

    for host in ("lab.example.org", "other.example.org", "lab.example.org"):
        answer = me.get(operations(session), headers={"Host": host}).json()
        urls.append(answer["results"][0]["output"]["output_files"][0]["fits_url"].split("/")[2])

    assert urls == ["lab.example.org", "other.example.org", "lab.example.org"]


def test_a_list_has_operations_by_number_and_all_pages_of_them(me: httpx.Client) -> None:
    session = made(me)["id"]
    numbers = [asked(me, session, threshold=value)["id"] for value in range(12)]

    pages = [
        [
            one["id"]
            for one in me.get(operations(session), params={"limit": 5, "offset": start}).json()["results"]
        ]
        for start in (0, 5, 10)
    ]

    assert [one for page in pages for one in page] == numbers


@pytest.mark.parametrize("at_most_bytes", [0, 1000, 1 << 20])
def test_what_is_kept_is_bounded(lab: RunningLab, me: httpx.Client, at_most_bytes: int) -> None:
    session = made(me)["id"]
    for value in range(8):
        change(lab, asked(me, session, threshold=value)["id"], state=State.FAILED)
    computations = Collection(lab.platform.store, COMPUTATIONS, Computation)
    showing = Showing(computations, Links(lab.platform.objects, SecretStr("key")))
    listing = Listing(lab.operations, showing, at_most_bytes)

    before, after = (lab.do(listing.of([session], lab.url)) for _ in range(2))

    assert [one.content for one in before] == [one.content for one in after]
    kept = sum(len(one.content) for one in after if one in before)
    assert kept <= at_most_bytes
    assert (kept > 0) is (at_most_bytes > 0)


def test_numbers_beyond_64_bits_and_written_parts_go_together() -> None:
    parts = [Written(b'{"b": [1]}'), 2**70, float("nan")]

    assert json_bytes({"a": parts}) == b'{"a":[{"b":[1]},1180591620717411303424,null]}'
