"""What was measured on a real Nextcloud 27, of the simulator: tags."""

from __future__ import annotations

import json
import re

import pytest

from flightline.nextcloud_simulator.answers import RefusedError
from tests.flightline.nextcloud_simulator.conftest import Simulated

TAGS = "/remote.php/dav/systemtags"
RELATIONS = "/remote.php/dav/systemtags-relations/files"
LIST = (
    b'<d:propfind xmlns:d="DAV:" xmlns:oc="http://owncloud.org/ns" xmlns:nc="http://nextcloud.org/ns"><d:prop>'
    b"<oc:id/><oc:display-name/><oc:can-assign/><nc:system-tags/></d:prop></d:propfind>"
)


def report(*tag_ids: int) -> bytes:
    rules = "".join(f"<oc:systemtag>{one}</oc:systemtag>" for one in tag_ids)
    return (
        '<oc:filter-files xmlns:d="DAV:" xmlns:oc="http://owncloud.org/ns"><d:prop><oc:fileid/></d:prop>'
        f"<oc:filter-rules>{rules}</oc:filter-rules></oc:filter-files>"
    ).encode()


def hrefs(text: str) -> list[str]:
    return re.findall("<d:href>[^<]*/anna/([^<]*)</d:href>", text)


def test_given_tags_when_a_folder_is_listed_then_names_and_ids_come_along(simulated: Simulated) -> None:
    simulated.running.stored.put("a.jpg", b"one")
    locked = simulated.simulator.new_tag("ai:locked <1>", is_assignable=False)
    simulated.simulator.tag("a.jpg", "ai:dogs", "ai:locked <1>")

    listing = simulated.asking.ask("PROPFIND", "", LIST, Depth="1").text

    assert 'oc:user-visible="true">ai:dogs</nc:system-tag>' in listing
    assert f'<nc:system-tag oc:can-assign="false" oc:id="{locked.id}"' in listing
    assert ">ai:locked &lt;1&gt;</nc:system-tag>" in listing


def test_given_a_tag_when_it_is_put_on_and_taken_off_then_the_second_time_differs(
    simulated: Simulated,
) -> None:
    simulated.running.stored.put("a.jpg", b"one")
    tag = simulated.simulator.new_tag("ai:put on")
    relation = f"{RELATIONS}/{simulated.simulator.tree.existing('a.jpg').id}/{tag.id}"

    on = [simulated.asking.ask("PUT", relation).status for _ in range(2)]
    off = [simulated.asking.ask("DELETE", relation).status for _ in range(2)]

    assert (on, off) == ([201, 409], [204, 404])


def test_given_a_tag_that_users_may_not_take_off_then_it_stays(simulated: Simulated) -> None:
    simulated.running.stored.put("a.jpg", b"one")
    tag = simulated.simulator.new_tag("ai:stays", is_assignable=False)
    simulated.simulator.tag("a.jpg", "ai:stays")
    relation = f"{RELATIONS}/{simulated.simulator.tree.existing('a.jpg').id}/{tag.id}"

    assert simulated.asking.ask("DELETE", relation).status == 403
    assert simulated.simulator.tags_of("a.jpg") == {"ai:stays"}


def test_given_a_report_then_the_whole_home_is_searched_for_all_tags(simulated: Simulated) -> None:
    for path, tags in (("in/a.jpg", ["r:1", "r:2"]), ("other/b.jpg", ["r:1"]), ("c.jpg", ["r:2"])):
        simulated.running.stored.put(path, b"one")
        simulated.simulator.tag(path, *tags)
    one, two = (
        next(t.id for t in simulated.simulator.tags().values() if t.name == n) for n in ("r:1", "r:2")
    )

    with_one = simulated.asking.ask("REPORT", "in", report(one))
    with_both = simulated.asking.ask("REPORT", "in", report(one, two))
    unknown = simulated.asking.ask("REPORT", "in", report(one, 999_999))

    assert hrefs(with_one.text) == ["in/a.jpg", "other/b.jpg"]
    assert hrefs(with_both.text) == ["in/a.jpg"]
    assert unknown.status == 412


def test_given_twins_when_one_is_searched_for_then_the_others_files_come_along(simulated: Simulated) -> None:
    simulated.running.stored.put("a.jpg", b"one")
    simulated.running.stored.put("b.jpg", b"two")
    first = simulated.simulator.new_tag("twin")
    second = simulated.simulator.new_tag("twin", is_assignable=False)
    for path, tag in (("a.jpg", first), ("b.jpg", second)):
        simulated.simulator.tree.index.assign(simulated.simulator.tree.existing(path).id, tag.id)

    assert hrefs(simulated.asking.ask("REPORT", "", report(first.id)).text) == ["a.jpg", "b.jpg"]


def test_given_strange_names_then_they_are_tags_and_the_same_one_twice_is_not(simulated: Simulated) -> None:
    for name in ("ai:", "ai:..", "ai:a/../b", " ai:cats ", "AI:Cats", "ai:cats"):
        body = json.dumps({"name": name, "userVisible": True, "userAssignable": True}).encode()
        made = simulated.asking.ask("POST", f"{TAGS}/", body, Content_Type="application/json")
        again = simulated.asking.ask("POST", f"{TAGS}/", body, Content_Type="application/json")

        assert (made.status, again.status) == (201, 409)
        tag_id = int((made.headers["Content-Location"] or "").rpartition("/")[2])
        assert simulated.simulator.tags()[tag_id].name == name


def test_given_a_newer_server_then_tags_that_differ_by_case_or_spaces_are_one(simulated: Simulated) -> None:
    simulated.simulator.refuses_tag_twins = True
    try:
        assert simulated.simulator.new_tag(" new:Cats ").name == "new:Cats"
        with pytest.raises(RefusedError, match="exists"):
            simulated.simulator.new_tag("NEW:cats")
    finally:
        simulated.simulator.refuses_tag_twins = False


def test_given_the_list_of_tags_then_it_begins_with_itself(simulated: Simulated) -> None:
    tag = simulated.simulator.new_tag("listed")

    listing = simulated.asking.ask("PROPFIND", f"{TAGS}/", LIST, Depth="1")

    assert listing.status == 207
    assert listing.text.index(f"<d:href>{TAGS}/</d:href>") < listing.text.index(f"{TAGS}/{tag.id}</d:href>")
    assert f"<oc:id>{tag.id}</oc:id><oc:display-name>listed</oc:display-name>" in listing.text


def test_given_users_then_they_can_neither_delete_tags_nor_make_hidden_ones(simulated: Simulated) -> None:
    tag = simulated.simulator.new_tag("undeletable")
    hidden = json.dumps({"name": "hidden", "userVisible": False}).encode()

    assert simulated.asking.ask("DELETE", f"{TAGS}/{tag.id}").status == 403
    assert simulated.asking.ask("POST", f"{TAGS}/", hidden, Content_Type="application/json").status == 400
    assert simulated.asking.ask("POST", f"{TAGS}/", hidden, Content_Type="text/plain").status == 415
