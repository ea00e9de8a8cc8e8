"""What was measured on a real Nextcloud 27, of the simulator: files."""

from __future__ import annotations

import hashlib
import os
import time

import pytest

from tests.flightline.nextcloud_simulator.conftest import Simulated

IMAGE = b"an image"
SHA256 = hashlib.sha256(IMAGE).hexdigest()
PROPERTIES = (
    b'<d:propfind xmlns:d="DAV:" xmlns:oc="http://owncloud.org/ns" xmlns:nc="http://nextcloud.org/ns"><d:prop>'
    b"<d:getetag/><d:getcontentlength/><d:resourcetype/><d:getlastmodified/><oc:fileid/><oc:checksums/>"
    b"<nc:system-tags/></d:prop></d:propfind>"
)


def test_given_a_hash_is_asked_for_when_a_file_is_put_then_the_server_tells_what_it_got(
    simulated: Simulated,
) -> None:
    answer = simulated.asking.put(
        "a.jpg", IMAGE, X_Hash="sha256", OC_Checksum="SHA1:0000", X_OC_MTime="1500000000"
    )

    assert answer.status == 201
    assert answer.headers["X-Hash-SHA256"] == SHA256
    assert answer.headers["X-OC-MTime"] == "accepted"
    assert (simulated.running.folder / "a.jpg").stat().st_mtime == 1_500_000_000


def test_given_a_wrong_checksum_when_a_file_is_put_then_it_is_kept_unchecked_until_it_is_computed(
    simulated: Simulated,
) -> None:
    simulated.asking.put("a.jpg", IMAGE, OC_Checksum="SHA1:0000")
    told = simulated.asking.ask("PROPFIND", "a.jpg", PROPERTIES, Depth="0")

    computed = simulated.asking.ask("PATCH", "a.jpg", X_Recalculate_Hash="sha256")

    assert "<oc:checksum>SHA1:0000</oc:checksum>" in told.text
    assert (computed.status, computed.headers["OC-Checksum"]) == (204, f"SHA256:{SHA256}")
    assert f"SHA256:{SHA256}" in simulated.asking.ask("PROPFIND", "a.jpg", PROPERTIES, Depth="0").text


def test_given_options_then_the_features_name_the_computed_checksums(simulated: Simulated) -> None:
    assert "nextcloud-checksum-update" in (simulated.asking.ask("OPTIONS").headers["DAV"] or "")


def test_given_a_move_then_id_etag_and_tags_stay(simulated: Simulated) -> None:
    simulated.asking.put("a.jpg", IMAGE)
    simulated.simulator.tag("a.jpg", "ai:cats")
    before = simulated.simulator.tree.existing("a.jpg")
    simulated.asking.ask("MKCOL", "cats")

    moved = simulated.asking.move("a.jpg", "cats/a.jpg", Overwrite="F", If_Match=before.quoted_etag)

    after = simulated.simulator.tree.existing("cats/a.jpg")
    assert moved.status == 201
    assert (after.id, after.etag) == (before.id, before.etag)
    assert simulated.simulator.tags_of("cats/a.jpg") == {"ai:cats"}


def test_given_a_folder_that_moves_then_what_lies_in_it_keeps_its_tags(simulated: Simulated) -> None:
    simulated.running.stored.put("in/deep/a.jpg", IMAGE)
    simulated.simulator.tag("in/deep/a.jpg", "ai:cats")

    assert simulated.asking.move("in", "out").status == 201

    assert simulated.simulator.tags_of("out/deep/a.jpg") == {"ai:cats"}


@pytest.mark.parametrize(
    ("target", "headers", "status"),
    [
        ("b.jpg", {"Overwrite": "F"}, 412),
        ("nowhere/a.jpg", {}, 409),
        ("a.jpg", {"Overwrite": "F"}, 412),
        ("a.jpg", {}, 403),
        ("c.jpg", {"If_Match": '"other"'}, 412),
        ("c.jpg", {"If": '(["other"])'}, 412),
        ("c\\d.jpg", {}, 400),
        (".htaccess", {}, 403),
        ("n" * 251, {}, 400),
    ],
)
def test_given_a_move_that_cannot_be_then_nothing_moves(
    simulated: Simulated, target: str, headers: dict[str, str], status: int
) -> None:
    simulated.asking.put("a.jpg", b"one")
    simulated.asking.put("b.jpg", b"two")

    assert simulated.asking.move("a.jpg", target, **headers).status == status
    assert simulated.running.stored.names() == {"a.jpg", "b.jpg"}


def test_given_no_source_when_it_is_moved_then_404_and_with_a_condition_412(simulated: Simulated) -> None:
    assert simulated.asking.move("gone.jpg", "a.jpg").status == 404
    assert simulated.asking.move("gone.jpg", "a.jpg", If_Match='"any"').status == 412


def test_given_dots_in_a_destination_then_they_climb_within_the_home(simulated: Simulated) -> None:
    simulated.running.stored.put("in/a.jpg", IMAGE)

    assert simulated.asking.move("in/a.jpg", "in/../climbed.jpg").status == 201
    assert simulated.asking.move("climbed.jpg", "../../../../etc/a.jpg").status == 403
    assert simulated.running.stored.names() == {"climbed.jpg"}


def test_given_the_lists_of_an_if_header_then_the_space_behind_a_resource_counts(
    simulated: Simulated,
) -> None:
    simulated.asking.put("a.jpg", b"one")
    simulated.asking.put("b.jpg", b"two")
    b_etag, b_path = simulated.asking.etag("b.jpg"), "/remote.php/dav/files/anna/b.jpg"

    without = simulated.asking.ask("DELETE", "a.jpg", If=f"<{b_path}>([{b_etag}])")
    other = simulated.asking.ask("DELETE", "a.jpg", If=f'<{b_path}> (["other"])')
    fine = simulated.asking.ask("DELETE", "a.jpg", If=f"<{b_path}> ([{b_etag}])")

    assert (without.status, other.status, fine.status) == (412, 412, 204)


def test_given_deletes_then_the_file_lies_in_the_trash(simulated: Simulated) -> None:
    simulated.asking.put("a.jpg", IMAGE)

    assert simulated.asking.ask("DELETE", "a.jpg", If_Match='"other"').status == 412
    assert simulated.asking.ask("DELETE", "a.jpg").status == 204
    assert simulated.asking.ask("DELETE", "a.jpg").status == 404
    assert any(one.name.startswith("a.jpg.d") for one in simulated.simulator.tree.trash.iterdir())


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("PUT", "nowhere/a.jpg", 404),
        ("PUT", "a\\b.jpg", 400),
        ("PUT", ".htaccess", 403),
        ("PUT", "n" * 251, 400),
        ("PUT", "what? #7 50%.jpg", 201),
        ("MKCOL", "nowhere/in", 409),
        ("MKCOL", "", 405),
        ("LOCK", "", 501),
        ("DELETE", "", 403),
        ("PATCH", "", 501),
    ],
)
def test_given_names_and_verbs_then_the_status_is_the_measured_one(
    simulated: Simulated, method: str, path: str, status: int
) -> None:
    body = IMAGE if method == "PUT" else None

    assert simulated.asking.ask(method, path, body).status == status


def test_given_a_cut_upload_then_nothing_is_left(simulated: Simulated) -> None:
    simulated.asking.cut_put("a.jpg", b"half", 1000)
    time.sleep(0.1)

    assert simulated.running.stored.names() == set()


def test_given_the_same_second_and_size_then_the_etag_stays(simulated: Simulated) -> None:
    tree = simulated.simulator.tree
    while True:  # until both fall into one second
        simulated.asking.put("a.jpg", b"one")
        first = tree.existing("a.jpg")
        simulated.asking.put("a.jpg", b"two")
        second = tree.existing("a.jpg")
        if first.written_s == second.written_s:
            break
    simulated.asking.put("a.jpg", b"three")

    assert first.etag == second.etag
    assert tree.existing("a.jpg").etag != second.etag


def test_given_a_put_then_the_folders_etag_changes_and_given_a_tag_it_does_not(simulated: Simulated) -> None:
    simulated.running.stored.put("in/a.jpg", IMAGE)
    before = simulated.asking.ask("PROPFIND", "in", PROPERTIES, Depth="0").text
    simulated.simulator.tag("in/a.jpg", "ai:cats")
    tagged = simulated.asking.ask("PROPFIND", "in", PROPERTIES, Depth="0").text
    simulated.asking.put("in/b.jpg", IMAGE)

    assert tagged == before
    assert simulated.asking.ask("PROPFIND", "in", PROPERTIES, Depth="0").text != before


def test_given_a_file_put_by_hand_then_it_is_listed_with_an_id(simulated: Simulated) -> None:
    (simulated.running.folder / "über #1.jpg").write_bytes(IMAGE)

    listing = simulated.asking.ask("PROPFIND", "", PROPERTIES, Depth="1")

    assert listing.status == 207
    assert "/remote.php/dav/files/anna/%c3%bcber%20%231.jpg</d:href>" in listing.text
    assert f"<oc:fileid>{simulated.simulator.tree.existing('über #1.jpg').id}</oc:fileid>" in listing.text


def test_given_a_file_replaced_by_hand_then_its_etag_is_another_and_its_id_the_same(
    simulated: Simulated,
) -> None:
    simulated.running.stored.put("a.jpg", b"one")
    before = simulated.simulator.tree.existing("a.jpg")
    simulated.running.stored.put("a.jpg", b"four")
    os.utime(simulated.running.folder / "a.jpg", (1, 1))

    after = simulated.simulator.tree.existing("a.jpg")

    assert (after.id, after.size_bytes) == (before.id, 4)
    assert after.etag != before.etag


def test_given_a_quota_when_it_is_used_up_then_507(simulated: Simulated) -> None:
    simulated.simulator.tree.quota_bytes = 10
    try:
        assert simulated.asking.put("a.jpg", b"12345678").status == 201
        assert simulated.asking.put("b.jpg", b"123").status == 507
        assert simulated.asking.put("a.jpg", b"1234567890").status == 204
    finally:
        simulated.simulator.tree.quota_bytes = None


def test_given_both_addresses_of_the_home_then_they_show_the_same_but_for_tags(simulated: Simulated) -> None:
    simulated.asking.put("a.jpg", IMAGE)

    assert simulated.asking.ask("GET", "/remote.php/webdav/a.jpg").body == IMAGE
    assert simulated.asking.ask("GET", "/remote.php/dav/files/somebody/a.jpg").status == 404
    old = simulated.asking.ask("PROPFIND", "/remote.php/webdav/", PROPERTIES, Depth="1")
    assert "<d:href>/remote.php/webdav/a.jpg</d:href>" in old.text
    untold = "<nc:system-tags/></d:prop><d:status>HTTP/1.1 404"
    assert untold in old.text
    assert untold not in simulated.asking.ask("PROPFIND", "", PROPERTIES, Depth="1").text


def test_given_reads_with_conditions_then_wsgidav_knows_the_same_etags(simulated: Simulated) -> None:
    etag = simulated.asking.put("a.jpg", IMAGE).headers["ETag"]

    part = simulated.asking.ask("GET", "a.jpg", Range="bytes=3-", If_Match=etag)
    other = simulated.asking.ask("GET", "a.jpg", If_Match='"other"')

    assert (part.status, part.body, part.headers["ETag"]) == (206, IMAGE[3:], etag)
    assert other.status == 412


def test_given_what_is_no_xml_then_it_is_refused(simulated: Simulated) -> None:
    assert simulated.asking.ask("PROPFIND", "", b"<no", Depth="0").status == 400
    assert simulated.asking.ask("PROPFIND", "", b"<no/>", Depth="0").status == 400
    assert simulated.asking.ask("REPORT", "", b"<no/>").status == 400
