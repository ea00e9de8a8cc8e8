"""The simulated server: its files, tags, account, switches and counters, for whoever runs it in process."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from flightline.nextcloud_simulator.accounts import Account
from flightline.nextcloud_simulator.answers import RefusedError
from flightline.nextcloud_simulator.faults import Faults
from flightline.nextcloud_simulator.index import Node, Tag
from flightline.nextcloud_simulator.tree import Tree

USER, PASSWORD = "test-user", "test-password"


class Nextcloud:
    """A Nextcloud with one user, whose home is a folder on the disk.

    What it must remember beside the files lies in ``.FOLDER.nextcloud`` beside the folder.

    Attributes:
        refuses_tag_twins: Tags that differ only by case from one that is there are refused, and names are
            trimmed: from version 32 on.
        checks_content: Whether the server computes hashes when asked (`X-Hash`, `X-Recalculate-Hash`).
    """

    def __init__(
        self,
        folder: Path,
        *,
        user: str = USER,
        password: str = PASSWORD,
        state: Path | None = None,
    ) -> None:
        folder = folder.resolve()
        self.tree = Tree(folder, state or folder.with_name(f".{folder.name}.nextcloud"))
        self.account = Account(user, password)
        self.faults = Faults()
        self.refuses_tag_twins = False
        self.checks_content = True
        self.calls: Counter[str] = Counter()
        """Requests by method, those of the control interface left out."""
        self._counting = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.tree.close()

    @property
    def folder(self) -> Path:
        """Return where the user's files lie."""
        return self.tree.folder

    def count(self, method: str) -> None:
        """Count a request."""
        with self._counting:
            self.calls[method] += 1

    # Tags

    def tags(self) -> dict[int, Tag]:
        """Return all tags by id."""
        with self.tree.lock:
            return {tag.id: tag for tag in self.tree.index.tags()}

    def new_tag(self, name: str, *, is_visible: bool = True, is_assignable: bool = True) -> Tag:
        """Make a tag.

        Raises:
            RefusedError: 409, there is one.
        """
        with self.tree.lock:
            if self.refuses_tag_twins:
                name = name.strip()
            for tag in self.tree.index.tags():
                is_twin = self.refuses_tag_twins and tag.name.lower() == name.lower()
                if is_twin or tag == Tag(tag.id, name, is_visible, is_assignable):
                    raise RefusedError(409, "Tag already exists")
            return self.tree.index.add_tag(name, is_visible=is_visible, is_assignable=is_assignable)

    def tag(self, path: str, *names: str) -> None:
        """Put tags on a file, making those that there are not."""
        with self.tree.lock:
            node = self.tree.existing(path)
            for name in names:
                known = next((tag for tag in self.tree.index.tags() if tag.name == name), None)
                self.tree.index.assign(node.id, (known or self.new_tag(name)).id)

    def tags_of(self, path: str) -> set[str]:
        """Return the names of a file's tags."""
        node = self.tree.existing(path)
        return {tag.name for tag in self.visible_tags(node)}

    def visible_tags(self, node: Node) -> list[Tag]:
        """Return the tags of a file that users see."""
        with self.tree.lock:
            return visible(self.tree.index.tag_ids_of(node.id), self.tags())


def visible(ids: Iterable[int], tags: dict[int, Tag]) -> list[Tag]:
    """Return the tags with these ids, by name, as Nextcloud lists them."""
    found = [tags[one] for one in ids if one in tags and tags[one].is_visible]
    return sorted(found, key=lambda tag: (tag.name, tag.id))
