"""What a series will do, before anything runs: the graph, the frozen and unfrozen layers, photos, disk and time."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import keras

from unfreeze.backend import thread_count
from unfreeze.config import AnyExperiment, AsIs, Experiment, Recipe
from unfreeze.data.cache_folder import cache_folder
from unfreeze.data.cache_size import free_bytes
from unfreeze.data.checkup import ensure_usable
from unfreeze.errors import LayerError
from unfreeze.features.activations import Activations, Forecast
from unfreeze.features.cut import find_cut
from unfreeze.features.frozen import FrozenLayers
from unfreeze.models.backbones import build_backbone, build_imagenet_classifier, pretrained_backbone
from unfreeze.models.blocks import depths
from unfreeze.models.classifier import build_classifier, feature_extractor
from unfreeze.models.unfreezing import cut_block, freeze, unfrozen_layers
from unfreeze.models.weights import count_parameters
from unfreeze.progress import say
from unfreeze.series.as_is import fit_class_maps, logits
from unfreeze.series.division import Division
from unfreeze.series.photos import SeriesPhotos, open_photos
from unfreeze.series.recipe import complete_recipe, parent_name, resolve

MACS_PER_CORE_SECOND = 25e9
"""Multiply-adds of float32 convolutions that a processor core does, roughly; for estimates of time alone."""

OVERHEAD_SECONDS = 4.0
"""Time of an experiment beside arithmetic: building, compiling, saving; for estimates alone."""


@dataclass(frozen=True)
class PlannedExperiment:
    """One experiment of a plan, all its seeds and splits together.

    Attributes:
        start_from: the parent's name, None for ImageNet's weights.
        train_images: photos trained on.
        unfrozen_layers: names of the backbone's layers that are trained in the last phase.
        cuts_through: the block that is frozen in part, or None.
        cut: names of the tensors that are kept of each photo and view; what follows them is trained.
        trainable_parameters: of unfrozen layers and head in the last phase.
        frozen_parameters: all others.
        forward_images: photos and views that will go through the frozen layers.
        cached_images: those that are computed already, or will be for an experiment before this one.
        disk_bytes: what will be written to the cache and to the run folders.
        seconds: rough estimate.
    """

    name: str
    kind: str
    start_from: str | None
    seeds: int
    train_images: int
    epochs: int
    unfrozen_layers: list[str]
    cuts_through: str | None
    cut: list[str]
    trainable_parameters: int
    frozen_parameters: int
    forward_images: int
    cached_images: int
    disk_bytes: int
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """The experiment as `unfreeze plan --json` prints it."""
        content = asdict(self)
        return {"name": content.pop("name"), "from": content.pop("start_from"), **content}


def plan(
    recipe: str | Path | Recipe,
    data: str | Path | None = None,
    seeds: int | None = None,
    overrides: Iterable[str] = (),
    allow_bad: bool = False,
) -> list[PlannedExperiment]:
    """Plan every experiment of a recipe; reads the photos, trains nothing. The arguments are those of `run`.

    Experiments that can't be run with these photos are left out, and said.

    Raises:
        UnfreezeError: whatever would stop `run`.
    """
    recipe = complete_recipe(recipe, data, seeds, overrides)
    series = resolve(recipe)
    check_layers(series)
    photos = open_photos(recipe.data, series)
    splits = [photos.dealt(split_seed) for split_seed in recipe.split_seeds]
    series, left_out = fit_class_maps(series, photos.classes, own_photos=data is None)
    for name, why in left_out.items():
        say(f"{name}: {why}")
    ensure_usable(photos.catalog, splits[0].splits, allow_bad)
    frozen, expected = FrozenLayers(cache_folder()), set[str]()
    trained = [experiment for experiment in series if isinstance(experiment, Experiment)]
    planned = [
        [
            _plan_as_is(experiment, photos, frozen, expected)
            if isinstance(experiment, AsIs)
            else _plan(Division(experiment, trained, frozen), photos, expected)
            for experiment in series
            if experiment.name not in left_out
        ]
        for photos in splits
    ]
    together = [_together(of_splits) for of_splits in zip(*planned, strict=True)]
    needed = sum(each.disk_bytes for each in together)
    free = min(free_bytes(cache_folder()), free_bytes(Path.cwd()))
    if needed > free:
        say(f"There is not enough room: {needed / 1e6:,.0f} MB will be written, and {free / 1e6:,.0f} MB are free")
    return together


def _together(plans: Sequence[PlannedExperiment]) -> PlannedExperiment:
    """Add up what one experiment does on several splits."""
    sums = {key: sum(getattr(plan, key) for plan in plans) for key in ("forward_images", "cached_images", "disk_bytes")}
    return replace(plans[0], **sums, seconds=round(sum(plan.seconds for plan in plans), 1))


def check_layers(
    experiments: Sequence[AnyExperiment], build: Callable[[str, int], keras.Model] = pretrained_backbone
) -> None:
    """Make sure that every layer, block and number that `unfreeze` names is there.

    Args:
        experiments: complete.
        build: gives the backbone of a name for photos of a size; weights don't matter, but training wants them next.

    Raises:
        LayerError: naming all that are not.
    """
    mistakes = []
    for experiment in experiments:
        for phase in experiment.phases:
            if phase.unfreeze == 0:
                continue
            try:
                backbone = build(experiment.backbone, experiment.image_size)
                unfrozen_layers(backbone, phase.unfreeze)
                if phase.layer_decay != 1:
                    depths(backbone)
            except LayerError as error:
                mistakes.append(f"experiments.{experiment.name}: {error}")
    if mistakes:
        raise LayerError("\n".join(mistakes))


def run_bytes(experiment: AnyExperiment) -> int:
    """Give about the bytes that a run of an experiment takes in OUT: best and last checkpoint, and the saved model."""
    network = experiment.backbone, experiment.image_size
    if isinstance(experiment, Experiment):
        return 3 * 4 * pretrained_backbone(*network).count_params()
    return 4 * build_backbone(*network, weights=None).count_params()


def _plan(division: Division, photos: SeriesPhotos, expected: set[str]) -> PlannedExperiment:
    experiment = division.experiment
    # As every experiment finds it before training: its weights name what the cache holds
    backbone = pretrained_backbone(experiment.backbone, experiment.image_size)
    classifier = build_classifier(backbone, len(photos.classes))
    unfrozen = unfrozen_layers(backbone, experiment.phases[-1].unfreeze)
    train, val, test = photos.splits.train(experiment.fraction), photos.splits.val, photos.splits.test
    forecasts, start = [], 0
    for phase in experiment.phases:
        epochs = range(start, start + phase.epochs)
        start = epochs.stop
        layers = unfrozen_layers(backbone, phase.unfreeze)
        seen = replace(division, experiment=experiment.in_phase(phase))
        used = photos.test_pixels if phase is experiment.phases[-1] else photos.pixels
        for pixels, training in (
            (photos.training_pixels(train, seen.experiment, phase, epochs), True),
            (used(val, experiment), False),
            (used(test, experiment), False),
        ):
            rows = seen.rows(classifier, layers, pixels, training)
            if isinstance(rows, Activations):
                forecasts.append(rows.forecast(expected))
            else:  # nothing runs beforehand: every epoch goes through all layers
                times = phase.epochs if training else 1
                forecasts.append(Forecast(times * len(pixels), 0, 0, 0.0))
    cut = find_cut(feature_extractor(classifier), unfrozen)
    freeze(backbone, unfrozen)
    trainable, seeds = count_parameters(classifier.trainable_weights), len(experiment.seeds)
    total = classifier.count_params()
    forward = sum(forecast.from_pixels for forecast in forecasts)
    speed = MACS_PER_CORE_SECOND * thread_count()
    rate = forecasts[0].rows_per_second or speed / max(cut.prefix_macs, 1)
    trained_macs = cut.suffix_macs + (cut.prefix_macs if experiment.engine == "reference" else 0)
    steps = seeds * experiment.epochs * (3 * len(train) + len(val))  # backward is twice as much as forward
    seconds = forward / rate + steps * trained_macs / speed + seeds * OVERHEAD_SECONDS
    return PlannedExperiment(
        name=experiment.name,
        kind=experiment.kind,
        start_from=parent_name(experiment),
        seeds=seeds,
        train_images=len(train),
        epochs=experiment.epochs,
        unfrozen_layers=unfrozen,
        cuts_through=cut_block(backbone, unfrozen),
        cut=list(cut.tensors),
        trainable_parameters=trainable,
        frozen_parameters=total - trainable,
        forward_images=forward,
        cached_images=sum(forecast.from_disk for forecast in forecasts),
        # A run keeps the whole model three times: best and last checkpoint, and the saved model
        disk_bytes=sum(forecast.bytes for forecast in forecasts) + seeds * 3 * 4 * total,
        seconds=round(seconds, 1),
    )


def _plan_as_is(experiment: AsIs, photos: SeriesPhotos, frozen: FrozenLayers, expected: set[str]) -> PlannedExperiment:
    classifier = build_imagenet_classifier(experiment.backbone)
    forecast = logits(classifier, photos.pixels(photos.splits.test, experiment), frozen).forecast(expected)
    macs = find_cut(classifier, []).prefix_macs
    rate = forecast.rows_per_second or MACS_PER_CORE_SECOND * thread_count() / max(macs, 1)
    return PlannedExperiment(
        name=experiment.name,
        kind=experiment.kind,
        start_from=None,
        seeds=len(experiment.seeds),
        train_images=0,
        epochs=0,
        unfrozen_layers=[],
        cuts_through=None,
        cut=[classifier.layers[-1].name],
        trainable_parameters=0,
        frozen_parameters=classifier.count_params(),
        forward_images=forecast.from_pixels,
        cached_images=forecast.from_disk,
        disk_bytes=forecast.bytes + 4 * classifier.count_params(),  # the saved model
        seconds=round(forecast.from_pixels / rate + OVERHEAD_SECONDS, 1),
    )
