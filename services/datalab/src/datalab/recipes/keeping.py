"""Recipes in the document store."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from datalab.clock import now_us
from datalab.domain.recipes import Recipe, Step
from datalab.numbers import Numbers
from datalab.wire.errors import RefusedError, missing
from shared.state import Collection, Order, RevisionError, Where

AT_MOST = 1_000
"""Recipes of a user."""
NEWEST_FIRST = Order("modified_us", descending=True)


@dataclass(frozen=True, slots=True)
class Recipes:
    """The recipes of all users; every question says whose are meant."""

    documents: Collection[Recipe]
    numbers: Numbers

    async def create(self, owner: str, name: str, description: str, steps: Sequence[Step]) -> Recipe:
        """Keep a recipe.

        Raises:
            RefusedError: The user has too many.
        """
        if await self.documents.count({"owner": owner}) >= AT_MOST:
            raise RefusedError(f"You have {AT_MOST} recipes: delete some first.", status=429)
        now = now_us()
        recipe = Recipe(
            number=await self.numbers.next("recipe"),
            owner=owner,
            name=name,
            description=description,
            steps=tuple(steps),
            created_us=now,
            modified_us=now,
        )
        return (await self.documents.insert(recipe.document_id, recipe)).body

    async def of(self, owner: str, number: int) -> Recipe:
        """Return a user's recipe.

        Raises:
            NotFoundError: There is none, or it is somebody else's.
        """
        document = await self.documents.get(str(number))
        if document is None or document.body.owner != owner:
            raise missing("Recipe")
        return document.body

    async def change(
        self,
        owner: str,
        number: int,
        *,
        name: str | None,
        description: str | None,
        steps: Sequence[Step] | None,
    ) -> Recipe:
        """Change what is given of a recipe; its runs stay as they are.

        Raises:
            NotFoundError: There is none, or it is somebody else's.
        """
        recipe = await self.of(owner, number)
        given = {"name": name, "description": description, "steps": steps}
        changed = {field: value for field, value in given.items() if value is not None}

        def change(old: Recipe) -> Recipe:
            return old.model_copy(update={**changed, "modified_us": now_us()})

        return (await self.documents.update(recipe.document_id, change)).body

    async def remove(self, owner: str, number: int) -> None:
        """Delete a recipe; its runs stay.

        Raises:
            NotFoundError: There is none, or it is somebody else's.
        """
        while True:
            recipe = await self.of(owner, number)
            with suppress(RevisionError):  # it was changed meanwhile
                await self.documents.delete(await self.documents.load(recipe.document_id))
                return

    async def page(
        self, owner: str, *, name: str | None, name_exact: str | None, limit: int, offset: int
    ) -> tuple[int, list[Recipe]]:
        """Return how many recipes suit, and some of them, last changed first.

        Args:
            owner: Whose.
            name: Any part of their name, in letters of either case; None: any.
            name_exact: Their name; None: any.
            limit: How many to return at most.
            offset: How many to pass over.
        """
        where: Where = {"owner": owner} | ({} if name_exact is None else {"name": name_exact})
        found = [document.body async for document in self.documents.each(where, order=NEWEST_FIRST)]
        suiting = [recipe for recipe in found if (name or "").lower() in recipe.name.lower()]
        return len(suiting), suiting[offset : offset + limit]
