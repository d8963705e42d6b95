"""`unfreeze eject`: a recipe as one plain Keras script."""

from pathlib import Path
from typing import Annotated

import typer

import unfreeze
from unfreeze.cli.app import print_json, verb
from unfreeze.cli.options import AllowBadOption, DataOption, RecipeArgument, SetOption
from unfreeze.cli.screen import screen


@verb(example="unfreeze eject food_vision --data my_photos --out plain/script.py")
def eject(
    recipe: RecipeArgument,
    data: DataOption = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="The script to write [default: NAME/NAME.py].")
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="NAME", help="Write this experiment alone; repeatable.")
    ] = None,
    overrides: SetOption = None,
    allow_bad: AllowBadOption = False,
) -> None:
    """Write a recipe as one plain Keras script that needs nothing of unfreeze."""
    script = unfreeze.eject(recipe, data, out, only or (), overrides or (), allow_bad)
    if screen.json:
        print_json({"out": str(script)})
    else:
        print(f"Written to {script.parent}, to take away as a whole. Train with: python {script}")
