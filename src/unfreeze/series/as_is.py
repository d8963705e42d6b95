"""Experiments of `kind: as_is`: the pretrained classifier unchanged, its answers translated by name."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from unfreeze.config import AnyExperiment, AsIs
from unfreeze.data.inputs import Pixels
from unfreeze.errors import RecipeError
from unfreeze.evaluation.predictions import Predictions
from unfreeze.features.activations import Activations
from unfreeze.features.engine import Engine
from unfreeze.features.frozen import FrozenLayers
from unfreeze.files import write_atomically
from unfreeze.models.backbones import build_imagenet_classifier
from unfreeze.models.imagenet import find_imagenet_classes, imagenet_classes
from unfreeze.models.translation import build_as_is
from unfreeze.models.weights import weights_sha256
from unfreeze.progress import say
from unfreeze.report.wording import shorten
from unfreeze.series.division import EVALUATION_PRECISION
from unfreeze.series.experiment import Clock
from unfreeze.series.folders import RunFolder, write_json, write_yaml
from unfreeze.series.lineage import lineage, settings
from unfreeze.series.mistakes import class_map_mistakes
from unfreeze.series.photos import SeriesPhotos, describe

SHOWN = 100
"""Letters of a list of names on screen, at most."""


def fit_class_maps(
    series: Sequence[AnyExperiment], classes: Sequence[str], own_photos: bool
) -> tuple[list[AnyExperiment], dict[str, str]]:
    """Check every class map against the classes that there are.

    Args:
        series: all experiments.
        classes: of the photos.
        own_photos: whether the recipe names these photos itself. With others, entries for classes that they don't have
            are no mistakes; they are dropped.

    Returns:
        The experiments, and why some of those that are as-is have no answer to give: name -> reason.

    Raises:
        RecipeError: listing every mistake.
    """
    fitted: list[AnyExperiment] = []
    mistakes: list[str] = []
    left_out = {}
    for experiment in series:
        if isinstance(experiment, AsIs):
            if not own_photos:
                fitting = {name: names for name, names in experiment.class_map.items() if name in classes}
                experiment = experiment.model_copy(update={"class_map": fitting})
            mistakes += class_map_mistakes(experiment, classes)
            if not any(outputs_of(experiment, classes)):
                left_out[experiment.name] = (
                    f"left out, because ImageNet has no name for any class of these photos "
                    f"({shorten(', '.join(classes), SHOWN)}); say with class_map which of its names stand for them"
                )
        fitted.append(experiment)
    if mistakes:
        raise RecipeError("The recipe does not fit the photos:\n" + "\n".join(f"  - {each}" for each in mistakes))
    return fitted, left_out


def outputs_of(experiment: AsIs, classes: Sequence[str]) -> list[tuple[int, ...]]:
    """Give the classifier's outputs that stand for each class: those that `class_map` names, else those of its name."""
    names = [experiment.class_map.get(name, [name]) for name in classes]
    return [tuple(sorted({output for word in words for output in find_imagenet_classes(word)})) for words in names]


def write_as_is(experiment: AsIs, photos: SeriesPhotos, run: RunFolder) -> None:
    """Write the run of an experiment that trains nothing: model, lineage, and what is matched with what.

    Args:
        experiment: knows at least one of the classes.
        photos: of the series.
        run: folder for everything that is written; `metrics.json` comes last and marks the end.
    """
    clock = Clock()
    run.path.mkdir(parents=True, exist_ok=True)
    config = settings(experiment, experiment.seeds[0], describe(photos), custom={})
    write_yaml(run.config, config)
    write_json(run.classes, list(photos.classes))

    with clock("evaluate"):
        classifier = build_imagenet_classifier(experiment.backbone)
        outputs = outputs_of(experiment, photos.classes)
        with write_atomically(run.model) as path:
            build_as_is(classifier, outputs).save(path)
        sha256 = weights_sha256(classifier)

    titles = {
        name: [imagenet_classes()[output].title for output in known]
        for name, known in zip(photos.classes, outputs, strict=True)
    }
    matched = [f"{name} ({', '.join(found)})" for name, found in titles.items() if found]
    say(f"{experiment.name} knows {len(matched)} of {len(titles)} classes: {shorten(', '.join(matched), SHOWN)}")
    origin = lineage(run, {**config, "phases": [], "engine": "cached"}, None, sha256, sha256, [])
    write_json(run.lineage, {**origin, "imagenet_names": titles})
    metrics = {
        "train_images": None,
        "trainable_parameters": None,
        "seconds": clock.seconds(),
        "val": None,
        "test": None,
        "temperature": 1.0,
        "coverage": {
            "classes": [name for name, found in titles.items() if found],
            "missing": [name for name, found in titles.items() if not found],
            "n": None,
            "accuracy": None,
        },
    }
    run.seal(metrics)


def parts_of(run: RunFolder, pixels: Pixels, frozen: FrozenLayers) -> tuple[keras.Model, Activations]:
    """Give what turns the classifier's answers into classes, and these answers for photos, not computed yet."""
    model: Any = keras.saving.load_model(run.model, compile=False, safe_mode=True)
    _, classifier, translation = model.layers
    return translation, logits(classifier, pixels, frozen)


def logits(classifier: keras.Model, pixels: Pixels, frozen: FrozenLayers) -> Activations:
    """Give a classifier's answers, not computed yet: all of it is frozen, so they are kept like any activations."""
    engine = Engine(classifier, frozen.cache / "engines")
    return Activations(pixels, [engine], [True], EVALUATION_PRECISION, frozen.cache)


def measured(coverage: Mapping[str, Any], predictions: Predictions) -> dict[str, Any]:
    """Add to what a run says of the classes that it knows how it fares on their photos alone.

    Args:
        coverage: from the run's metrics.
        predictions: of the test photos.
    """
    known = [number for number, name in enumerate(predictions.classes) if name in coverage["classes"]]
    of_known = np.isin(predictions.labels, known)
    right = (predictions.predicted == predictions.labels)[of_known]
    return {**coverage, "n": len(right), "accuracy": float(right.mean()) if len(right) else None}
