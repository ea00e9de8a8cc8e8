"""How operations are run, row by row: states, what is computed once, results, the archive, and old faults.

Everything is asked over HTTP, and computed by a real child process; the operations are small ones.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import httpx

from flightline.archive_simulator import ArchiveSimulator
from tests.datalab.api.calling import SESSIONS, operations, uploaded
from tests.datalab.contract.conftest import Somebody, frame
from tests.support.lab import RunningLab

FILES = [frame("frame1"), frame("frame2")]
WORDS = {"PENDING", "IN_PROGRESS", "COMPLETED", "FAILED"}


def followed(user: Somebody, operation: dict[str, Any]) -> list[dict[str, Any]]:
    """Read an operation again and again until it has ended."""
    seen = [operation]
    while seen[-1]["status"] not in ("COMPLETED", "FAILED"):
        seen.append(user.read(operation))
    return seen


def test_a_frame_of_the_archive_and_a_result_of_datalab_are_inputs(alice: Somebody) -> None:
    """Row: sources archive and datalab."""
    first = alice.computed("Sum", input_files=[frame("frame3")])["output"]["output_files"][0]
    whole = {**first, "operation": {"output": first}, "operationIndex": 0, "operationName": "Sum"}

    second = alice.computed("Sum", input_files=[whole])

    assert second["output"]["output_data"][0]["total"] == sum(b"300 0")


def test_an_upload_is_an_input(carl: Somebody) -> None:
    """Row: source upload."""
    ended = carl.computed("Sum", input_files=[uploaded(carl.http)])

    assert ended["output"]["output_data"][0]["total"] > 0


def test_an_operation_goes_through_the_four_words(alice: Somebody) -> None:
    """Row: statuses; Row: fault 7, progress that leaves 0 to 1 and goes back."""
    seen = followed(alice, alice.asked("Sum", input_files=FILES, take_s=0.3))

    progress = [one["operation_progress"] for one in seen]
    assert {one["status"] for one in seen} <= WORDS
    assert [one["status"] for one in seen] == sorted(
        (one["status"] for one in seen), key=["PENDING", "IN_PROGRESS", "COMPLETED"].index
    )
    assert progress == sorted(progress)
    assert (progress[0], progress[-1]) == (0.0, 1.0)
    assert seen[-1]["message"] == ""


def test_a_failure_has_a_message(alice: Somebody) -> None:
    """Row: FAILED and its message."""
    ended = alice.ended(alice.asked("Trouble", how="refuse"))

    assert (ended["status"], ended["output"]) == ("FAILED", None)
    assert ended["message"] == "These frames have different filters."


def test_a_cancelled_operation_is_failed_with_a_message(alice: Somebody) -> None:
    """Row: fault 11, no cancel; CANCELLED is FAILED for clients that know four words."""
    operation = alice.asked("Trouble", how="hang", nonce="cancelled")

    cancelled = alice.http.post(f"{operations(alice.session)}{operation['id']}/cancel").json()

    assert cancelled["status"] == "FAILED"
    assert "cancelled" in cancelled["message"].lower()


def test_display_fields_and_changing_links_make_no_other_computation(
    alice: Somebody, bob: Somebody, tmp_path: Path
) -> None:
    """Row: cache key."""
    counted = {"how": "bug", "times": 0, "marks": str(tmp_path)}
    alice.computed("Trouble", input_files=[frame("frame4")], **counted)
    page = {"id": 9, "url": "https://elsewhere/?X-Amz-Signature=1", "filter": "rp", "target_name": "M 1"}

    again = bob.asked("Trouble", input_files=[frame("frame4", **page)], **counted, note="other")

    assert again["status"] == "COMPLETED"
    assert again["output"]["output_data"] == [{"runs": 1}]
    assert len(list(tmp_path.iterdir())) == 1


def test_a_failed_operation_is_computed_again_when_it_is_retried(alice: Somebody, tmp_path: Path) -> None:
    """Row: re-run."""
    ended = alice.ended(alice.asked("Trouble", how="refuse", marks=str(tmp_path), times=1))
    assert ended["status"] == "FAILED"

    alice.http.post(f"{operations(alice.session)}{ended['id']}/retry/").raise_for_status()

    assert alice.ended(ended)["status"] == "COMPLETED"


def test_a_result_outlives_what_deleted_it_for_one_of_two(alice: Somebody, bob: Somebody) -> None:
    """Row: where results are; an operation's answer is in its document, and is nobody else's to take away."""
    first = alice.computed("Sum", input_files=FILES)
    second = bob.computed("Sum", input_files=FILES)

    assert alice.http.delete(f"{operations(alice.session)}{first['id']}").status_code == 204

    assert bob.read(second)["status"] == "COMPLETED"
    assert httpx.get(second["output"]["output_files"][0]["fits_url"]).content == b"300 0"


def test_links_are_signed_when_they_are_read_and_open_the_result_to_who_has_one(alice: Somebody) -> None:
    """Row: S3, signed URLs."""
    (file,) = alice.computed("Sum", input_files=FILES)["output"]["output_files"]

    answer = httpx.get(file["fits_url"])
    broken = httpx.get(file["fits_url"][:-2])

    assert (answer.status_code, answer.content) == (200, b"300 0")
    assert int(answer.headers["Content-Length"]) == len(answer.content)
    assert (broken.status_code, broken.json()["error"][:8]) == (404, "There is")


def test_a_page_of_another_origin_reads_results(alice: Somebody) -> None:
    """Row: CORS of results."""
    (file,) = alice.computed("Sum", input_files=FILES)["output"]["output_files"]
    origin = {"Origin": "https://ui.example.org"}

    answer = httpx.get(file["large_url"], headers=origin)
    before = httpx.options(file["large_url"], headers={**origin, "Access-Control-Request-Method": "GET"})

    assert (answer.status_code, before.status_code) == (200, 200)
    assert answer.headers["Access-Control-Allow-Origin"] == "https://ui.example.org"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"  # their page is isolated
    assert answer.headers["Content-Type"] == "image/jpeg"


def test_a_file_is_downloaded_once(alice: Somebody, bob: Somebody, archive: ArchiveSimulator) -> None:
    """Row: file cache."""
    archive.add("often", b"\x01" * 10)
    before = archive.asked["files"]

    for user in (alice, bob):
        for number in range(2):
            user.computed("Sum", input_files=[frame("often")], outputs=number + 1)

    assert archive.asked["files"] - before == 1


def test_several_outputs_are_told_together_and_only_whole(alice: Somebody) -> None:
    """Row: output; Row: fault 6, COMPLETED after the first of several outputs."""
    seen = followed(alice, alice.asked("Sum", input_files=FILES, outputs=5))

    counts = [len(one["output"]["output_files"]) if one["output"] else 0 for one in seen]
    assert counts[-1] == 5
    assert set(counts) == {0, 5}
    names = [file["basename"] for file in seen[-1]["output"]["output_files"]]
    assert names == [f"{names[0].rpartition('-')[0]}-{number}" for number in range(1, 6)]
    for file in seen[-1]["output"]["output_files"]:
        assert file.keys() >= {"basename", "source", "type", "fits_url", "large_url", "small_url"}
        assert (file["source"], file["type"]) == ("datalab", "fits")


def test_numbers_that_json_does_not_have_are_null(alice: Somebody) -> None:
    """Row: output_data; Row: fault 9, 500 for values that are not finite."""
    data = alice.computed("Sum", input_files=FILES)["output"]["output_data"]

    assert data == [{"total": 300, "nothing": None}]


def test_the_users_token_opens_the_archive(alice: Somebody, archive: ArchiveSimulator) -> None:
    """Row: GET {archive}/frames/?basename_exact=B, token passed through; Row: portal profile."""
    archive.tokens_seen.clear()

    ended = alice.computed("Sum", input_files=[frame("hers")])

    assert ended["output"]["output_data"][0]["total"] == 70
    assert "Token token-of-alice" in archive.tokens_seen


def test_a_cached_result_is_not_for_who_may_not_see_its_inputs(
    alice: Somebody, bob: Somebody, carl: Somebody, archive: ArchiveSimulator
) -> None:
    """Row: fault 2, cached results for users without access; anonymous where there is no portal's token."""
    hers = alice.computed("Sum", input_files=[frame("hers")])["output"]["output_files"][0]
    archive.tokens_seen.clear()

    refused = [user.post("Sum", input_files=[one]) for user in (bob, carl) for one in (frame("hers"), hers)]

    assert [answer.status_code for answer in refused] == [400] * 4
    assert all("hers" in one.json()["error"] for one in refused[::2])
    assert set(archive.tokens_seen) == {"Token token-of-bob", ""}
    assert bob.http.get(operations(bob.session)).json()["count"] == 0


def test_an_unknown_basename_is_told_at_once(alice: Somebody) -> None:
    """Row: fault 4, 55 seconds for a basename that is unknown."""
    began_s = time.monotonic()

    refused = alice.http.post("/api/analysis/wcs/", json={"basename": "nowhere", "source": "archive"})

    assert refused.status_code == 400
    assert refused.json()["error"].startswith("wcs Error: ")
    assert time.monotonic() - began_s < 10  # it takes milliseconds; the machine may be busy


def test_a_library_that_exits_fails_its_operation(alice: Somebody) -> None:
    """Row: fault 5, IN_PROGRESS for thirty days after a library's sys.exit."""
    ended = alice.ended(alice.asked("Trouble", how="exit"))

    assert ended["status"] == "FAILED"
    assert ended["message"]


def test_a_result_says_what_it_was_made_of(alice: Somebody) -> None:
    """Row: fault 11, no provenance."""
    told = alice.computed("Sum", input_files=FILES)["output"]["provenance"]

    assert (told["operation"], told["version"], len(told["inputs"])) == ("Sum", 1, 2)
    assert told["software"].keys() >= {"python", "datalab", "numpy", "astropy"}


def test_a_user_has_limits(lab: RunningLab) -> None:
    """Row: fault 11, no per-user limits."""
    user = lab.user()

    told = user.get("/api/uploads/").json()

    assert told["quota_bytes"] > told["used_bytes"] == 0


def test_an_end_is_there_for_who_waits(alice: Somebody) -> None:
    """Row: beyond, a long poll."""
    operation = alice.asked("Sum", input_files=FILES, take_s=0.2, outputs=2)

    assert alice.read(operation, "wait?timeout=60")["status"] == "COMPLETED"
    assert alice.http.get(f"{SESSIONS}{alice.session}").json()["operations"][0]["status"] == "COMPLETED"
