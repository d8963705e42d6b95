"""How the results of a series are shown."""

import json
import sys

from unfreeze.cli.app import print_json
from unfreeze.cli.screen import screen
from unfreeze.report.results import Results
from unfreeze.report.table import comparison_table, plain_table

WRITTEN = {
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
    show_table(results)
    show_story(results)
    print(f"\nWritten to {results.out}:")
    for name, content in WRITTEN.items():
        if (results.out / name).exists():
            print(f"  {results.out / name}  ({content})")


def show_story(results: Results) -> None:
    """Print how it went, in sentences."""
    from unfreeze.report.story import story  # NumPy would slow down `unfreeze --help`

    print("\nHow did it go?")
    for sentence in story(results):
        print(f"  {sentence}")


def show_table(results: Results) -> None:
    """Print the comparison, as wide as the terminal or as plain text into a pipe."""
    if sys.stdout.isatty():
        from rich.console import Console

        Console().print(comparison_table(results))
    else:
        print(plain_table(results))
