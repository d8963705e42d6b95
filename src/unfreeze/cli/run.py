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
    on: Annotated[
        str | None,
        typer.Option(
            "--on",
            metavar="ADDRESS",
            help="Run on Ray: `ray` for this machine's processors, HOST:PORT or ray://HOST:PORT for a cluster.",
        ),
    ] = None,
) -> None:
    """Run a recipe, or what is left of it."""
    results = unfreeze.run(recipe, data, out, seeds, only or (), overrides or (), force, allow_bad, on=on)
    show_results(results)
