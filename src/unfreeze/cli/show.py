"""`unfreeze show`: photos with a model's predictions."""

from pathlib import Path
from typing import Annotated

import typer

import unfreeze
from unfreeze.cli.app import print_json, verb
from unfreeze.cli.options import RunArgument, png
from unfreeze.cli.screen import screen


@verb(example="unfreeze show runs/demo/experiments/model_4/seed-0 --class defective --count 6 --out photos.png")
def show(
    run: RunArgument,
    split: Annotated[str, typer.Option("--split", metavar="S", help="train, val or test.")] = "test",
    data: Annotated[
        str | None, typer.Option("--data", metavar="DATA", help="Another data set than the run's own.")
    ] = None,
    label: Annotated[str | None, typer.Option("--class", metavar="NAME", help="Photos of this class alone.")] = None,
    count: Annotated[int, typer.Option("--count", metavar="K", min=1, help="How many photos.")] = 1,
    out: Annotated[Path, typer.Option("--out", metavar="x.png", callback=png, help="The picture to write.")] = Path(
        "show.png"
    ),
    seed: Annotated[int | None, typer.Option("--seed", metavar="N", help="Draw the same photos again.")] = None,
) -> None:
    """Draw photos with their predictions."""
    shown = unfreeze.show(run, split, data, label, count, seed)
    shown.save(out)
    if screen.json:
        print_json({**shown.to_json(), "out": str(out)})
        return
    for photo in shown.photos:
        verdict = "right" if photo.predicted == photo.label else "wrong"
        print(f"{photo.path}: {photo.label}, predicted {photo.predicted} ({photo.probability:.1%}), {verdict}")
    print(f"Drawn in {out}")
