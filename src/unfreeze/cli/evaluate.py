"""`unfreeze evaluate`: a finished run's figures on other labelled photos."""

from typing import Annotated

import typer

import unfreeze
from unfreeze.cli.app import print_json, verb
from unfreeze.cli.options import DataArgument, RunArgument
from unfreeze.cli.screen import screen


@verb(example="unfreeze evaluate runs/my_photos/experiments/model/seed-0 other_photos")
def evaluate(
    run: RunArgument,
    data: DataArgument,
    split: Annotated[
        str | None,
        typer.Option("--split", metavar="S", help="Only photos of train, val or test [default: all photos]."),
    ] = None,
) -> None:
    """Measure a run on other photos."""
    found = unfreeze.evaluate(run, data, split)
    if screen.json:
        print_json(found.to_json())
    else:
        print(found)
