"""Recipes: list, write, read, change, delete, apply."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field
from starlette.status import HTTP_201_CREATED, HTTP_204_NO_CONTENT

from datalab.domain.recipes import DESCRIPTION_AT_MOST_CHARACTERS
from datalab.laboratory import Laboratory
from datalab.recipes.applying import checked_sets
from datalab.recipes.checking import steps_of
from datalab.recipes.views import (
    Application,
    RecipeChange,
    RecipeFields,
    RecipePage,
    RecipeView,
    RunView,
    recipe_json,
)
from datalab.routes.asking import Fields, Lab, Number, User
from datalab.routes.runs import run_answer
from datalab.wire import fields as wire
from datalab.wire.answers import JsonAnswer
from datalab.wire.errors import RESPONSES
from datalab.wire.openapi import body_of
from datalab.wire.paging import Count, envelope, window

router = APIRouter(prefix="/api/recipes", tags=["recipes"], responses=RESPONSES)


class RecipeQuery(BaseModel):
    """Which of your recipes."""

    limit: Count = None
    offset: Count = None
    name: str | None = Field(default=None, description="Any part of it, in letters of either case.")
    name_exact: str | None = None


@router.get("/", summary="List your recipes, last changed first", response_model=RecipePage)
async def list_recipes(
    request: Request, user: User, lab: Lab, query: Annotated[RecipeQuery, Query()]
) -> Response:
    """Each with its steps."""
    part = window(query.limit, query.offset)
    total, found = await lab.recipes.page(
        user.name,
        name=query.name or None,
        name_exact=query.name_exact or None,
        limit=part.limit,
        offset=part.offset,
    )
    return JsonAnswer(envelope(request, lab.base_url(request), part, total, [*map(recipe_json, found)]))


@router.post(
    "/",
    summary="Write a recipe",
    status_code=HTTP_201_CREATED,
    response_model=RecipeView,
    openapi_extra=body_of(RecipeFields),
)
async def create_recipe(user: User, lab: Lab, body: Fields) -> Response:
    """Its steps are found to suit their operations, as far as that can be known before they have files."""
    name = wire.field(body, "name", wire.text)
    description = wire.optional(body, "description", _description) or ""
    steps = wire.field(body, "steps", partial(steps_of, registry=lab.registry))
    recipe = await lab.recipes.create(user.name, name, description, steps)
    return JsonAnswer(recipe_json(recipe), HTTP_201_CREATED)


@router.get("/{recipe}/", summary="Read a recipe", response_model=RecipeView)
async def read_recipe(recipe: Number, user: User, lab: Lab) -> Response:
    """With its steps."""
    return JsonAnswer(recipe_json(await lab.recipes.of(user.name, recipe)))


@router.put(
    "/{recipe}/",
    summary="Write a recipe anew",
    response_model=RecipeView,
    openapi_extra=body_of(RecipeFields),
)
async def replace_recipe(recipe: Number, user: User, lab: Lab, body: Fields) -> Response:
    """Runs that there are stay as they are."""
    await lab.recipes.of(user.name, recipe)
    wire.field(body, "name", wire.text)
    wire.field(body, "steps", wire.items)
    return await _changed(recipe, user.name, lab, {"description": "", **body})


@router.patch(
    "/{recipe}/",
    summary="Change a recipe",
    response_model=RecipeView,
    openapi_extra=body_of(RecipeChange),
)
async def change_recipe(recipe: Number, user: User, lab: Lab, body: Fields) -> Response:
    """Runs that there are stay as they are."""
    await lab.recipes.of(user.name, recipe)
    return await _changed(recipe, user.name, lab, body)


@router.delete(
    "/{recipe}/", summary="Delete a recipe", status_code=HTTP_204_NO_CONTENT, response_class=Response
)
async def delete_recipe(recipe: Number, user: User, lab: Lab) -> Response:
    """Its runs stay, and go on."""
    await lab.recipes.remove(user.name, recipe)
    return Response(status_code=HTTP_204_NO_CONTENT)


@router.post(
    "/{recipe}/apply/",
    summary="Apply a recipe to files",
    status_code=HTTP_201_CREATED,
    response_model=RunView,
    openapi_extra=body_of(Application),
)
async def apply_recipe(request: Request, recipe: Number, user: User, lab: Lab, body: Fields) -> Response:
    """Operations are made in the session: the first ones at once, others when there is what they work on."""
    found = await lab.recipes.of(user.name, recipe)
    session = await lab.sessions.of(user.name, wire.field(body, "session", wire.number))
    run = await lab.applying.apply(found, session.number, checked_sets(body, found), user)
    return await run_answer(request, lab, run, HTTP_201_CREATED)


async def _changed(recipe: int, owner: str, lab: Laboratory, body: dict[str, Any]) -> Response:
    changed = await lab.recipes.change(
        owner,
        recipe,
        name=wire.optional(body, "name", wire.text),
        description=wire.optional(body, "description", _description),
        steps=wire.optional(body, "steps", partial(steps_of, registry=lab.registry)),
    )
    return JsonAnswer(recipe_json(changed))


def _description(value: Any) -> str:
    return "" if value == "" else wire.text(value, DESCRIPTION_AT_MOST_CHARACTERS)
