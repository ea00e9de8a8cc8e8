"""What a newer release wrote into a document stays there when this one changes it.

A model reads the fields that it knows. What it leaves out would be gone with the next swap, so it is put back
into what is written: each field where it was, in an object that is still in its place.
"""

from __future__ import annotations

from typing import Any


def carried(stored: Any, read: Any, written: Any) -> Any:
    """Return ``written`` with what ``stored`` says and ``read`` does not.

    Args:
        stored: JSON as it lies in the store.
        read: What our model made of it, as JSON.
        written: What is to be stored instead, as JSON. An item of a list is the same one as before if nothing
            of it changed, or else if it stands where it stood.
    """
    if stored == read:
        return written
    match stored, read, written:
        case dict(), dict(), dict():
            known = {
                name: carried(stored[name], read[name], value) if name in stored and name in read else value
                for name, value in written.items()
            }
            unknown = {name: value for name, value in stored.items() if name not in read}
            return {**unknown, **known}
        case list(), list(), list() if len(stored) == len(read):
            places = _places(read, written)
            return [
                value if place is None else carried(stored[place], read[place], value)
                for place, value in zip(places, written, strict=True)
            ]
        case _:
            return written


def _places(before: list[Any], after: list[Any]) -> list[int | None]:
    """Return at which place each item was before; None: it is new."""
    left = dict(enumerate(before))
    places: list[int | None] = []
    for value in after:
        same = next((place for place, other in left.items() if other == value), None)
        if same is not None:
            del left[same]
        places.append(same)
    return [
        index if place is None and left.pop(index, None) is not None else place
        for index, place in enumerate(places)
    ]
