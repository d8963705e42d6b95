"""`unfreeze train`: one experiment without a recipe."""

from typing import Annotated

import typer

import unfreeze
from unfreeze.cli.app import verb
from unfreeze.cli.options import AllowBadOption, DataArgument, ForceOption, OutOption, SeedsOption
from unfreeze.cli.results import show_results


@verb(example="unfreeze train my_photos --fraction 0.1 --unfreeze 10", resumable=True)
def train(
    data: DataArgument,
    backbone: Annotated[
        str | None,
        typer.Option("--backbone", metavar="B", help="Pretrained network: a name, keras_hub:PRESET, or a .keras file."),
    ] = None,
    fraction: Annotated[float | None, typer.Option("--fraction", metavar="F", help="Share of the photos.")] = None,
    unfreeze_layers: Annotated[
        str | None,
        typer.Option("--unfreeze", metavar="N", help="Train the last N layers, from a block on, or all."),
    ] = None,
    epochs: Annotated[int | None, typer.Option("--epochs", metavar="E", help="Passes over the photos.")] = None,
    learning_rate: Annotated[float | None, typer.Option("--learning-rate", metavar="R", help="Of Adam.")] = None,
    start_from: Annotated[
        str | None, typer.Option("--from", metavar="RUN", help="Run whose weights to start from.")
    ] = None,
    seeds: SeedsOption = None,
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="Of the experiment.")] = None,
    minutes: Annotated[
        float | None, typer.Option("--minutes", metavar="M", help="Search for the best that M minutes can train.")
    ] = None,
    out: OutOption = None,
    force: ForceOption = False,
    allow_bad: AllowBadOption = False,
) -> None:
    """Train on a folder of photos."""
    given = {
        "backbone": backbone,
        "fraction": fraction,
        "unfreeze": int(unfreeze_layers) if unfreeze_layers and unfreeze_layers.isdigit() else unfreeze_layers,
        "epochs": epochs,
        "learning_rate": learning_rate,
        "start_from": start_from,
        "seeds": seeds,
        "name": name,
        "minutes": minutes,
    }
    chosen = {key: value for key, value in given.items() if value is not None}
    show_results(unfreeze.train(data, **chosen, out=out, force=force, allow_bad=allow_bad))
