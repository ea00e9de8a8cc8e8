"""The folders of categories that are there, found whatever the case of a tag."""

from __future__ import annotations

from collections.abc import Iterable

from mover.domain.categories import folded


class Folders:
    """Folders within the root of all categories."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        """Begin with the names of folders that the server lists."""
        self._spelled: dict[str, str] = {}
        self._exact: set[str] = set()
        for name in sorted(names):
            self.add(name)

    def __contains__(self, path: str) -> bool:
        """Return whether exactly this folder is known to be there."""
        return path in self._exact

    def add(self, path: str) -> None:
        """Note that a folder is there, and with it all that it lies in."""
        parts = path.split("/")
        for end in range(1, len(parts) + 1):
            known = "/".join(parts[:end])
            self._exact.add(known)
            self._spelled.setdefault(folded(known), known)

    def discard(self, path: str) -> None:
        """Note that a folder is gone."""
        self._exact.discard(path)
        if self._spelled.get(folded(path)) == path:
            del self._spelled[folded(path)]

    def chosen(self, spellings: Iterable[str]) -> str:
        """Return the folder of a category.

        It is one that is there, as it is written there: folders that differ in case alone are one to Windows
        and to macOS. Else it is the first spelling, within what is there of it.
        """
        wanted = list(spellings)
        for spelling in wanted:
            if spelling in self._exact:
                return spelling
        return self._adopted(wanted[0])

    def _adopted(self, path: str) -> str:
        found = self._spelled.get(folded(path))
        if found is not None:
            return found
        above, slash, name = path.rpartition("/")
        return f"{self._adopted(above)}/{name}" if slash else path
