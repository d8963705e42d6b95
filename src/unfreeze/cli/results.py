"""How the results of a series are shown."""

import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from unfreeze.cli.app import print_json
from unfreeze.cli.screen import screen
from unfreeze.report.results import Results

if TYPE_CHECKING:
    from rich.table import Table

    from unfreeze.report.side_by_side import Comparison

WRITTEN = {
    "report.html": "the report: open it in a browser",
    "results.json": "all figures",
    "pictures": "curves, confusion matrices, the comparison",
    "experiments": "models, checkpoints, predictions",
    "splits.csv": "which photo was used for what",
    "tensorboard": "for `tensorboard --logdir`",
}


def show_results(results: Results) -> None:
    """Print the comparison and where everything was written; with --json the content of results.json."""
    if screen.json:
        print_json(json.loads((results.out / "results.json").read_text(encoding="utf-8")))
        return
    from unfreeze.report.side_by_side import side_by_side  # NumPy would slow down `unfreeze --help`

    show_table(results)
    show_story(side_by_side(results))
    print(f"\nWritten to {results.out}:")
    for name, content in WRITTEN.items():
        if (results.out / name).exists():
            print(f"  {results.out / name}  ({content})")


def show_story(comparison: "Comparison") -> None:
    """Print how it went, in sentences."""
    from unfreeze.report.story import story

    print("\nHow did it go?")
    for sentence in story(comparison):
        print(f"  {sentence}")


def show_table(results: Results) -> None:
    """Print the experiments, as wide as the terminal or as plain text into a pipe."""
    from unfreeze.report.table import comparison_table, plain_table

    _print(comparison_table, plain_table, results)


def show_pairs(comparison: "Comparison") -> None:
    """Print experiments against each other, likewise."""
    from unfreeze.report.table import pairs_table, plain_pairs

    _print(pairs_table, plain_pairs, comparison)


def _print(as_table: "Callable[[Any], Table]", plain: Callable[[Any], str], content: Any) -> None:
    if sys.stdout.isatty():
        from rich.console import Console

        Console().print(as_table(content))
    else:
        print(plain(content))
