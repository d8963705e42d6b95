"""Arguments and options that several verbs share."""

from pathlib import Path
from typing import Annotated

import typer

DataArgument = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="A folder of photos, a CSV (path,label[,split][,group]), a zip or tar, a URL, or elpv or food-vision.",
    ),
]
RecipeArgument = Annotated[
    str,
    typer.Argument(
        metavar="RECIPE", help="A YAML file, or the name of a shipped recipe (demo, food_vision, practice)."
    ),
]
RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="A run: OUT/experiments/NAME/seed-K.")]
DataOption = Annotated[str | None, typer.Option("--data", metavar="DATA", help="Photos to use in the recipe's place.")]
OutOption = Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Where to write [default: runs/NAME].")]
SeedsOption = Annotated[int | None, typer.Option("--seeds", metavar="N", min=1, help="Run with the seeds 0 to N-1.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="K=V", help="Change a setting (augment.views=2); repeatable."),
]
ForceOption = Annotated[bool, typer.Option("--force", help="Throw away what DIR holds of this and start over.")]
AllowBadOption = Annotated[bool, typer.Option("--allow-bad", help="Go on even if many files can't be used.")]


def png(out: Path) -> Path:
    """Refuse a picture's path that does not say PNG."""
    if out.suffix.lower() != ".png":
        raise typer.BadParameter(f"pictures are written as PNG: give {out.with_suffix('.png').name} or the like.")
    return out
