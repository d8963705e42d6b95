"""What a series will do, before anything runs: the graph, the frozen and unfrozen layers, photos and time."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import keras

from unfreeze.config import Experiment, Recipe
from unfreeze.data.checkup import ensure_usable
from unfreeze.errors import LayerError
from unfreeze.models.backbones import build_backbone
from unfreeze.models.classifier import build_classifier
from unfreeze.models.unfreezing import cut_block, freeze, unfrozen_layers
from unfreeze.models.weights import count_parameters
from unfreeze.series.photos import SeriesPhotos, open_photos
from unfreeze.series.recipe import complete_recipe, parent_name, resolve


@dataclass(frozen=True)
class PlannedExperiment:
    """One experiment of a plan, all its seeds together.

    Attributes:
        start_from: the parent's name, None for ImageNet's weights.
        train_images: photos trained on.
        unfrozen_layers: names of the backbone's layers that are trained in the last phase.
        cuts_through: the block that is frozen in part, or None.
        trainable_parameters: of unfrozen layers and head in the last phase.
        frozen_parameters: all others.
        forward_images: photos that go through the frozen layers, counting each time.
        cached_images: of those, how many are computed already.
        disk_bytes: what the run folders will take.
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

    Raises:
        UnfreezeError: whatever would stop `run`.
    """
    recipe = complete_recipe(recipe, data, seeds, overrides)
    experiments = resolve(recipe)
    check_layers(experiments)
    photos = open_photos(recipe.data, experiments[0].image_size)
    ensure_usable(photos.catalog, photos.splits, allow_bad)
    return [_plan(experiment, photos) for experiment in experiments]


def check_layers(experiments: Sequence[Experiment]) -> None:
    """Make sure that every layer, block and number that `unfreeze` names is there.

    Raises:
        LayerError: naming all that are not.
    """
    mistakes = []
    for experiment in experiments:
        for phase in experiment.phases:
            try:
                unfrozen_layers(_untrained(experiment.backbone, experiment.image_size), phase.unfreeze)
            except LayerError as error:
                mistakes.append(f"experiments.{experiment.name}: {error}")
    if mistakes:
        raise LayerError("\n".join(mistakes))


@cache
def _untrained(backbone: str, image_size: int) -> keras.Model:
    """Build a backbone for its layers' names and sizes alone: no weights are read."""
    return build_backbone(backbone, image_size, weights=None)


def _plan(experiment: Experiment, photos: SeriesPhotos) -> PlannedExperiment:
    backbone = _untrained(experiment.backbone, experiment.image_size)
    classifier = build_classifier(backbone, len(photos.classes))
    unfrozen = unfrozen_layers(backbone, experiment.phases[-1].unfreeze)
    freeze(backbone, unfrozen)
    trainable = count_parameters(classifier.trainable_weights)
    total = classifier.count_params()
    train, val, test = (
        len(part) for part in (photos.splits.train(experiment.fraction), photos.splits.val, photos.splits.test)
    )
    seeds = len(experiment.seeds)
    forward = seeds * (experiment.epochs * (train + val) + val + test)
    return PlannedExperiment(
        name=experiment.name,
        kind=experiment.kind,
        start_from=parent_name(experiment),
        seeds=seeds,
        train_images=train,
        epochs=experiment.epochs,
        unfrozen_layers=unfrozen,
        cuts_through=cut_block(backbone, unfrozen),
        trainable_parameters=trainable,
        frozen_parameters=total - trainable,
        forward_images=forward,
        cached_images=0,
        disk_bytes=seeds * 3 * 4 * total,
        seconds=0.0,
    )
