"""Recipes and their runs as clients see them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, Field, WithJsonSchema

from datalab.clock import written
from datalab.domain.asked import ShownOperation, State
from datalab.domain.recipes import DESCRIPTION_AT_MOST_CHARACTERS, STEPS_AT_MOST, Recipe
from datalab.domain.run_changes import DELETED, progress_of
from datalab.domain.runs import Phase, Place, Run, StepOfRun
from datalab.wire.views import Status

_STEP = {
    "type": "object",
    "properties": {
        "name": {
            "type": "string",
            "description": "What later steps call it; the operation's when not given.",
        },
        "operation": {
            "type": "string",
            "description": "Exactly as `GET /api/available_operations/` has it.",
        },
        "input_data": {
            "type": "object",
            "description": 'As the operation wants it, with references in the place of files: `{"from": '
            '"inputs"}`, or `{"from": …}` with the name or the place of an earlier step; `index` picks one'
            " file. What else a reference has is said of each file.",
        },
    },
    "required": ["operation"],
}
Steps = Annotated[
    list[Any],
    WithJsonSchema({"type": "array", "items": _STEP, "minItems": 1, "maxItems": STEPS_AT_MOST}),
]


class StepView(BaseModel):
    """One operation of a recipe."""

    name: str
    operation: str
    input_data: dict[str, Any]


class RecipeView(BaseModel):
    """A recipe."""

    id: int
    user: str
    name: str
    description: str
    steps: list[StepView]
    created: AwareDatetime
    modified: AwareDatetime


class RecipeFields(BaseModel):
    """What a recipe is made of."""

    name: str = Field(min_length=1, max_length=256)
    description: str = Field(default="", max_length=DESCRIPTION_AT_MOST_CHARACTERS)
    steps: Steps


class RecipeChange(BaseModel):
    """What may change."""

    name: str | None = Field(default=None, min_length=1, max_length=256)
    description: str | None = Field(default=None, max_length=DESCRIPTION_AT_MOST_CHARACTERS)
    steps: Steps | None = None


class Application(BaseModel):
    """What a recipe is applied to: `inputs`, or several `sets` of them."""

    session: int = Field(description="Its operations are made there.")
    inputs: list[dict[str, Any]] | None = Field(default=None, description="Files.")
    sets: list[list[dict[str, Any]]] | None = Field(
        default=None, description="Lists of files; the recipe is applied to each by itself."
    )


class RunSummary(BaseModel):
    """A run of a recipe."""

    id: int
    recipe: int = Field(description="The recipe's id; it may be gone.")
    name: str = Field(description="The recipe's.")
    session: int
    user: str
    status: Status
    message: str
    progress: float = Field(ge=0, le=1)
    created: AwareDatetime
    ended: AwareDatetime | None


class RunStepView(BaseModel):
    """A step of a run."""

    set: int = Field(description="Which of the sets, from 0.")
    step: int = Field(description="Which of the recipe's steps, from 0.")
    name: str
    operation_name: str
    operation: int | None = Field(description="The id of its operation, in the run's session.")
    status: Status
    message: str
    progress: float = Field(ge=0, le=1)


class RunView(RunSummary):
    """A run and its steps."""

    steps: list[RunStepView]


class _Page(BaseModel):
    count: int
    next: str | None
    previous: str | None


class RecipePage(_Page):
    """Some recipes, last changed first."""

    results: list[RecipeView]


class RunPage(_Page):
    """Some runs, newest first."""

    results: list[RunSummary]


def recipe_json(recipe: Recipe) -> dict[str, Any]:
    """Return a recipe as JSON."""
    return {
        "id": recipe.number,
        "user": recipe.owner,
        "name": recipe.name,
        "description": recipe.description,
        "steps": [step.model_dump() for step in recipe.steps],
        "created": written(recipe.created_us),
        "modified": written(recipe.modified_us),
    }


def summary_json(run: Run, live: Mapping[int, ShownOperation] | None = None) -> dict[str, Any]:
    """Return a run as JSON; ``live`` are its operations as they are now."""
    progress = progress_of(run, {number: one.progress for number, one in (live or {}).items()})
    return {
        "id": run.number,
        "recipe": run.recipe,
        "name": run.name,
        "session": run.session,
        "user": run.owner,
        "status": _status(run.state),
        "message": run.message,
        "progress": progress,
        "created": written(run.created_us),
        "ended": written(run.ended_us) if run.ended_us else None,
    }


def run_json(run: Run, live: Mapping[int, ShownOperation]) -> dict[str, Any]:
    """Return a run with its steps as JSON."""
    steps = [_step(run, place, step, live) for place, step in run.places()]
    return {**summary_json(run, live), "steps": steps}


def _step(run: Run, place: Place, step: StepOfRun, live: Mapping[int, ShownOperation]) -> dict[str, Any]:
    of_recipe = run.steps[place[1]]
    status, message, progress = _shown(step, live.get(step.operation))
    return {
        "set": place[0],
        "step": place[1],
        "name": of_recipe.name,
        "operation_name": of_recipe.operation,
        "operation": step.operation or None,
        "status": status,
        "message": message,
        "progress": progress,
    }


def _shown(step: StepOfRun, live: ShownOperation | None) -> tuple[str, str, float]:
    match step.phase:
        case Phase.COMPLETED:
            return State.COMPLETED, "", 1.0
        case Phase.ASKED if live is not None:
            return _status(live.state), live.message, max(step.progress, live.progress)
        case Phase.ASKED:
            return State.FAILED, DELETED, step.progress
        case Phase.WAITING | Phase.ASKING | Phase.AGAIN:
            return State.PENDING, "", step.progress
        case _:
            return State.FAILED, step.message, step.progress


def _status(state: State) -> str:
    return State.FAILED if state is State.CANCELLED else state
