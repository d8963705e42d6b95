"""`unfreeze check`: a look at every file before anything is trained."""

import sys

import unfreeze
from unfreeze.cli.app import EXIT_FAILED, print_json, verb
from unfreeze.cli.options import DataArgument
from unfreeze.cli.screen import screen


@verb(example="unfreeze check my_photos")
def check(data: DataArgument) -> None:
    """Look at every file of a data set."""
    found = unfreeze.check(data)
    if screen.json:
        print_json(found.to_json())
    else:
        print(found)
    if not found.images:
        sys.exit(EXIT_FAILED)
