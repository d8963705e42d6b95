"""The test photos: read once, when all experiments are trained, and every read goes on record."""

import time
from collections.abc import Sequence
from typing import Any, cast

import keras
import numpy as np

from unfreeze.config import AnyExperiment, AsIs, Experiment
from unfreeze.data.test_reads import record_test_read
from unfreeze.evaluation.calibration import calibrate
from unfreeze.evaluation.metrics import Metrics, evaluate
from unfreeze.evaluation.predictions import Predictions, write_predictions
from unfreeze.features.frozen import FrozenLayers
from unfreeze.models.backbones import pretrained_backbone
from unfreeze.models.classifier import backbone_of, reused_classifier
from unfreeze.models.unfreezing import unfrozen_layers
from unfreeze.progress import task
from unfreeze.seals import read_sealed
from unfreeze.series.as_is import measured, parts_of
from unfreeze.series.division import Division
from unfreeze.series.folders import RunFolder, SeriesFolder, read_json, read_yaml
from unfreeze.series.lineage import read_settings
from unfreeze.series.photos import SeriesPhotos
from unfreeze.training.batches import predict
from unfreeze.training.tensorboard import write_hparams


def evaluate_on_test(
    runs: Sequence[RunFolder],
    photos: SeriesPhotos,
    series: Sequence[Experiment],
    frozen: FrozenLayers,
    out: SeriesFolder,
    why: str,
) -> list[str]:
    """Add `predictions.csv` and test figures to every run that has none yet; gives their paths from OUT.

    Args:
        runs: trained ones.
        photos: of the series.
        series: its experiments that are trained, which share what frozen layers make of the test photos.
        frozen: engines and cache.
        out: the series' folder, which keeps the record of reads.
        why: goes on record with the read.
    """
    waiting = [run for run in runs if read_sealed(run.metrics)["test"] is None]
    if not waiting or not photos.splits.test:
        return []
    names = [run.path.relative_to(out.path).as_posix() for run in waiting]
    weights = [read_json(run.lineage)["weights_sha256"] for run in waiting]
    record_test_read(out.test_reads, why, names, len(photos.splits.test), weights)
    with task("Testing", len(waiting)) as advance:
        for run in waiting:
            started = time.perf_counter()
            experiment = read_settings(run)
            figures = read_sealed(run.metrics)
            labels, probabilities = _test(run, experiment, photos, series, frozen)
            metrics = evaluate(labels, probabilities, figures["temperature"])
            paths, calibrated = (
                [photo.path for photo in photos.splits.test],
                calibrate(probabilities, figures["temperature"]),
            )
            predictions = Predictions(tuple(paths), labels, photos.classes, calibrated)
            write_predictions(run.predictions, predictions)
            figures["test"] = metrics.to_json(photos.classes)
            if isinstance(experiment, AsIs):
                figures["coverage"] = measured(figures["coverage"], predictions)
            spent = time.perf_counter() - started
            for part in ("evaluate", "total"):
                figures["seconds"][part] = round(figures["seconds"][part] + spent, 3)
            write_hparams(out.events(run), *_hparams(experiment, run, metrics))
            run.seal(figures)
            advance(1)
    return names


def _test(
    run: RunFolder,
    experiment: AnyExperiment,
    photos: SeriesPhotos,
    series: Sequence[Experiment],
    frozen: FrozenLayers,
) -> tuple[np.ndarray, np.ndarray]:
    """Predict the test photos with the best weights: their labels [n] and the model's own probabilities [n, c]."""
    test = photos.splits.test
    labels, pixels = photos.labels(test), photos.test_pixels(test, experiment)
    trained: Any
    if isinstance(experiment, AsIs):
        trained, rows = parts_of(run, pixels, frozen)
    else:
        division = Division(experiment, series, frozen)
        classifier = _best_model(run, experiment, len(photos.classes))
        unfrozen = unfrozen_layers(backbone_of(classifier), experiment.phases[-1].unfreeze)
        trained = division.trained(classifier, unfrozen)
        rows = division.rows(classifier, unfrozen, pixels, training=False)
    return labels, predict(trained, rows.compute(), experiment.batch_size, pixels.views)


def _best_model(run: RunFolder, experiment: Experiment, class_count: int) -> keras.Model:
    """Give a run's whole model with its best weights; ours is built faster than it is loaded."""
    if read_yaml(run.config).get("custom", {}).get("head"):
        return cast(keras.Model, keras.saving.load_model(run.model, compile=False))
    classifier = reused_classifier(pretrained_backbone(experiment.backbone, experiment.image_size), class_count)
    classifier.load_weights(run.checkpoint("best"))
    return classifier


def _hparams(experiment: AnyExperiment, run: RunFolder, metrics: Metrics) -> tuple[dict[str, Any], dict[str, float]]:
    """Give an experiment's settings and test figures as TensorBoard's HParams tab shows them."""
    settings: dict[str, Any] = {
        "name": experiment.name,
        "seed": run.seed,
        "split_seed": run.split_seed,
        "kind": experiment.kind,
        "backbone": experiment.backbone,
    }
    if isinstance(experiment, Experiment):
        last = experiment.phases[-1]
        settings |= {
            "fraction": experiment.fraction,
            "augment": bool(experiment.augment),
            "unfreeze": str(last.unfreeze),
            "epochs": experiment.epochs,
            "solver": last.solver,
            "batch_size": experiment.batch_size,
            **experiment.extras,
        }
        if last.learning_rate is not None:
            settings["learning_rate"] = last.learning_rate
    return settings, {
        "test_accuracy": metrics.accuracy,
        "test_loss": metrics.loss,
        "test_macro_f1": metrics.macro_f1,
    }
