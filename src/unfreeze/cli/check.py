"""`unfreeze check`: a look at every file before anything is trained."""

import sys

import unfreeze
from unfreeze.cli.app import EXIT_FAILED, print_json, verb
from unfreeze.cli.options import DataArgument
from unfreeze.cli.screen import screen

SHOWN = 10


@verb(example="unfreeze check my_photos")
def check(data: DataArgument) -> None:
    """Look at every file of a data set."""
    found = unfreeze.check(data)
    if screen.json:
        print_json(found)
    else:
        _show(found)
    if not found["images"]:
        sys.exit(EXIT_FAILED)


def _show(found: dict) -> None:
    if found["notice"]:
        print(found["notice"])
    print(f"{found['images']:,} usable photos of {len(found['classes'])} classes")
    width = max((len(name) for name in found["classes"]), default=0)
    for name, count in found["classes"].items():
        print(f"  {name:<{width}}  {count:>7,}")
    splits = {name: count for name, count in found["splits"].items() if count}
    if splits:
        print("splits: " + ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in splits.items()))
    _show_list(
        f"{len(found['bad'])} files can't be used",
        [f"{bad['path']}: {bad['reason']}" for bad in found["bad"]],
    )
    twins = [" = ".join(twin["paths"]) for twin in found["twins"]]
    _show_list(f"{len(twins)} photos stand in more than one split; the training copy is left out", twins)
    _show_list("A run would stop", found["problems"])


def _show_list(title: str, lines: list[str]) -> None:
    if not lines:
        return
    print(f"{title}:")
    for line in lines[:SHOWN]:
        print(f"  {line}")
    if len(lines) > SHOWN:
        print(f"  and {len(lines) - SHOWN:,} more (all with --json)")
