"""`unfreeze run`: a whole series."""

from typing import Annotated

import typer

import unfreeze
from unfreeze.cli.app import verb
from unfreeze.cli.options import (
    AllowBadOption,
    DataOption,
    ForceOption,
    OutOption,
    RecipeArgument,
    SeedsOption,
    SetOption,
)
from unfreeze.cli.results import show_results


@verb(example="unfreeze run food_vision --data my_photos --seeds 3", resumable=True)
def run(
    recipe: RecipeArgument,
    data: DataOption = None,
    out: OutOption = None,
    seeds: SeedsOption = None,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="NAME", help="Run this experiment; repeatable.")
    ] = None,
    overrides: SetOption = None,
    force: ForceOption = False,
    allow_bad: AllowBadOption = False,
) -> None:
    """Run a recipe, or what is left of it."""
    results = unfreeze.run(recipe, data, out, seeds, only or (), overrides or (), force, allow_bad)
    show_results(results)
