"""Whoever applies a recipe must be allowed to see its files: that is asked once, with their own token."""

from __future__ import annotations

import asyncio
from pathlib import Path

from shared.settings import PlatformSettings
from tests.datalab.api.calling import made, operations
from tests.datalab.recipes.calling import INPUTS, RECIPES, applied, ended, from_step, step, written
from tests.support.archive import ArchiveSimulator, serving_archive
from tests.support.datalab_operations import REGISTRY
from tests.support.lab import running_lab
from tests.support.portal import running_portal

ALICES, BOBS = "portal-token-of-alice", "portal-token-of-bob"


async def test_later_steps_work_on_private_frames_of_who_applied_the_recipe(tmp_path: Path) -> None:
    archive = ArchiveSimulator(users={ALICES: frozenset({"hers"}), BOBS: frozenset()})
    archive.add("private", b"\x07" * 10, proposal="hers")
    async with serving_archive(archive):
        await asyncio.to_thread(_apply, archive, tmp_path)


def _apply(archive: ArchiveSimulator, home: Path) -> None:
    on = PlatformSettings(home=home, allow_private_urls=True)
    with (
        running_portal() as portal,
        running_lab(
            home, known=REGISTRY, workers=1, portal_url=portal.url, archive_url=archive.url, platform=on
        ) as lab,
    ):
        portal.users |= {ALICES: "alice", BOBS: "bob"}
        frame = {"source": "archive", "basename": "private"}
        for token in (BOBS, ALICES):
            client = lab.client(token)
            session = made(client)["id"]
            recipe = written(client, step("Sum", take_s=0.2), step("Sum", "2", [INPUTS, from_step(0)]))
            if token == BOBS:
                path = f"{RECIPES}{recipe['id']}/apply/"
                refused = client.post(path, json={"session": session, "inputs": [frame]})
            else:
                run = applied(client, recipe, session, inputs=[frame])
                asked = archive.asked["frames"]
                done = ended(client, run)
            count = client.get(operations(session)).json()["count"]
            assert count == (0 if token == BOBS else 2)
    assert refused.status_code == 400
    assert "private" in refused.json()["error"]
    assert (done["status"], done["message"]) == ("COMPLETED", "")
    assert archive.asked["frames"] == asked
