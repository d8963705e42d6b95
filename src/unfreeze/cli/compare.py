"""`unfreeze compare`: figures side by side, and which differences are more than noise."""

from pathlib import Path
from typing import Annotated

import typer

import unfreeze
from unfreeze.cli.app import print_json, verb
from unfreeze.cli.results import show_pairs, show_story, show_table
from unfreeze.cli.screen import screen


@verb(example="unfreeze compare runs/demo")
def compare(
    out: Annotated[
        list[Path], typer.Argument(metavar="OUT...", help="Folders that `unfreeze run` wrote, on the same test photos.")
    ],
) -> None:
    """Show experiments side by side, and compare them photo by photo."""
    comparison = unfreeze.compare(*out)
    if screen.json:
        print_json(comparison.to_json())
        return
    for results in comparison.results:
        if len(out) > 1:
            print(f"{results.out}\n")
        show_table(results)
        print()
    if comparison.pairs:
        show_pairs(comparison)
    show_story(comparison)
    reports = ", ".join(str(results.out / "report.html") for results in comparison.results)
    print(f"\nThe report: {reports}")
