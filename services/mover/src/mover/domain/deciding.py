"""What is to become of a file, decided from its tags alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from mover.domain.categories import (
    Fault,
    InvalidCategoryError,
    category_text,
    checked_category,
    folded,
)


class Tag(Protocol):
    """A tag as the server lists it."""

    @property
    def id(self) -> int:
        """Return the server's number of it."""

    @property
    def name(self) -> str:
        """Return what people call it."""

    @property
    def can_assign(self) -> bool:
        """Return whether we may take it off."""


class Why(StrEnum):
    """Why a file that has a tag of ours stays where it is."""

    SEVERAL = "several-categories"
    INVALID = "invalid-category"
    RESTRICTED = "restricted-tag"
    DUPLICATE = "duplicate"
    REFUSED = "refused"
    NO_NAME = "no-name-left"


@dataclass(frozen=True, slots=True)
class Rules:
    """What tags mean here."""

    parent: str
    root: str
    """Folder of the categories, without slashes at its ends; empty: the user's own."""
    unsorted: str
    nested: bool = False


@dataclass(frozen=True, slots=True)
class Go:
    """The file goes into the folder of a category, and then loses these tags."""

    spellings: tuple[str, ...]
    """Of the category: as the tag with the lowest id has it, and others that differ in case alone."""
    tag_ids: tuple[int, ...]

    @property
    def category(self) -> str:
        """Return the category."""
        return self.spellings[0]


@dataclass(frozen=True, slots=True)
class Stay:
    """The file stays, and people are told why."""

    why: Why
    sentence: str


def decide(tags: Sequence[Tag], rules: Rules) -> Go | Stay | None:
    """Return what is to become of a file with these tags; None: none of them is for us."""
    ours = [
        (tag, text)
        for tag in sorted(tags, key=_id)
        if (text := category_text(tag.name, rules.parent)) is not None
    ]
    if not ours:
        return None
    for tag, text in ours:
        if (fault := fault_of(text, rules)) is not None:
            return Stay(Why.INVALID, f"tag {_shown(tag.name)}: {fault.sentence}")
    if len({folded(text) for _, text in ours}) > 1:
        names = ", ".join(_shown(tag.name) for tag, _ in ours)
        return Stay(Why.SEVERAL, f"it has tags of several categories: {names}")
    for tag, _ in ours:
        if not tag.can_assign:
            return Stay(Why.RESTRICTED, f"tag {_shown(tag.name)}: this user must not take it off")
    return Go(tuple(dict.fromkeys(text for _, text in ours)), tuple(tag.id for tag, _ in ours))


def fault_of(text: str, rules: Rules) -> Fault | None:
    """Return why there can be no folder for a category; None: there can."""
    try:
        category = checked_category(text, nested=rules.nested)
    except InvalidCategoryError as error:
        return error.fault
    folder, waiting = folded(joined(rules.root, category)), folded(rules.unsorted)
    return Fault.UNSORTED if f"{folder}/".startswith(f"{waiting}/") else None


def joined(*parts: str) -> str:
    """Return a path of the parts that are not empty."""
    return "/".join(part for part in parts if part)


def _id(tag: Tag) -> int:
    return tag.id


def _shown(name: str) -> str:
    return repr(name)
