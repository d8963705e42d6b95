"""`unfreeze compare`: a series' figures side by side."""

from pathlib import Path
from typing import Annotated

import typer

import unfreeze
from unfreeze.cli.app import print_json, verb
from unfreeze.cli.results import show_story, show_table
from unfreeze.cli.screen import screen
from unfreeze.report.summary import summarize


@verb(example="unfreeze compare runs/demo")
def compare(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A folder that `unfreeze run` wrote.")],
) -> None:
    """Show a series side by side."""
    results = unfreeze.compare(out)
    if screen.json:
        print_json({"experiments": [summary.to_json() for summary in summarize(results)]})
        return
    show_table(results)
    show_story(results)
    print(f"\nPictures are in {out / 'pictures'}")
