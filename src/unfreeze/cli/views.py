"""`unfreeze views`: a photo as training sees it."""

from pathlib import Path
from typing import Annotated

import typer

import unfreeze
from unfreeze.cli.app import print_json, verb
from unfreeze.cli.options import png
from unfreeze.cli.screen import screen


@verb(example="unfreeze views food_vision my_photos/train/pizza/1.jpg")
def views(
    run: Annotated[str, typer.Argument(metavar="RUN_OR_RECIPE", help="Whose augmentation.")],
    photo: Annotated[Path, typer.Argument(metavar="IMAGE", help="Any photo.")],
    count: Annotated[int, typer.Option("--count", metavar="K", min=1, help="How many views.")] = 7,
    out: Annotated[Path, typer.Option("--out", metavar="x.png", callback=png, help="The picture to write.")] = Path(
        "views.png"
    ),
) -> None:
    """Draw a photo's augmented views."""
    shown = unfreeze.show_views(run, photo, count)
    shown.save(out)
    if screen.json:
        print_json({**shown.to_json(), "out": str(out)})
    else:
        print(f"{len(shown.views)} views of {photo}, drawn in {out}")
