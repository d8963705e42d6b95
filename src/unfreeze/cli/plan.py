"""`unfreeze plan`: what a recipe will do, before anything runs."""

from typing import TYPE_CHECKING

import unfreeze
from unfreeze.cli.app import print_json, verb
from unfreeze.cli.options import AllowBadOption, DataOption, RecipeArgument, SeedsOption, SetOption
from unfreeze.cli.screen import screen

if TYPE_CHECKING:
    from unfreeze.series.plan import PlannedExperiment


@verb(example="unfreeze plan demo")
def plan(
    recipe: RecipeArgument,
    data: DataOption = None,
    seeds: SeedsOption = None,
    overrides: SetOption = None,
    allow_bad: AllowBadOption = False,
) -> None:
    """Show what a recipe will do."""
    planned = unfreeze.plan(recipe, data, seeds, overrides or (), allow_bad)
    if screen.json:
        print_json({"experiments": [experiment.to_json() for experiment in planned]})
        return
    for experiment in planned:
        _show(experiment)
    forward = sum(experiment.forward_images for experiment in planned)
    disk = sum(experiment.disk_bytes for experiment in planned)
    seconds = sum(experiment.seconds for experiment in planned)
    print(
        f"In all {forward:,} photos and views go through frozen layers, {disk / 1e6:,.0f} MB are written, "
        f"and it takes about {_duration(seconds)} here."
    )


def _show(experiment: "PlannedExperiment") -> None:
    layers = experiment.unfrozen_layers
    if experiment.kind == "as_is":
        print(f"{experiment.name}: as is, {experiment.frozen_parameters:,} parameters")
        print(f"  test photos: {experiment.forward_images:,} to run, {experiment.cached_images:,} there by then")
        print(f"  about {_duration(experiment.seconds)}, {experiment.disk_bytes / 1e6:,.0f} MB\n")
        return
    start = f"from {experiment.start_from}" if experiment.start_from else "from ImageNet's weights"
    seeds = f", {experiment.seeds} seeds" if experiment.seeds > 1 else ""
    print(f"{experiment.name}: {'fine-tuning' if layers else 'feature extraction'} {start}{seeds}")
    print(f"  {experiment.train_images:,} photos, {experiment.epochs} epochs")
    if layers:
        through = f", cuts through {experiment.cuts_through}" if experiment.cuts_through else ""
        print(f"  unfrozen: {len(layers)} layers, from {layers[0]} to {layers[-1]}{through}")
    else:
        print("  unfrozen: no layer of the backbone, only the head")
    print(f"  parameters: {experiment.trainable_parameters:,} trained, {experiment.frozen_parameters:,} frozen")
    forward, cached = experiment.forward_images, experiment.cached_images
    kept = ", ".join(experiment.cut)
    print(f"  frozen layers: {forward:,} photos and views to run, {cached:,} there by then; kept: {kept}")
    print(f"  about {_duration(experiment.seconds)}, {experiment.disk_bytes / 1e6:,.0f} MB\n")


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:,.0f} minutes"
