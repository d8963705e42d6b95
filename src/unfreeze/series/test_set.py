"""The test photos: read once, when all experiments are trained, and every read goes on record."""

import time
from collections.abc import Sequence
from typing import Any

from unfreeze.config import Experiment
from unfreeze.data.test_reads import record_test_read
from unfreeze.evaluation.metrics import Metrics, evaluate
from unfreeze.evaluation.predictions import Predictions, write_predictions
from unfreeze.features.activations import Activations
from unfreeze.features.frozen import FrozenLayers
from unfreeze.models.backbones import pretrained_backbone
from unfreeze.models.classifier import backbone_of, build_classifier
from unfreeze.models.unfreezing import unfrozen_layers
from unfreeze.progress import task
from unfreeze.series.division import Division
from unfreeze.series.folders import RunFolder, SeriesFolder, read_json, write_json
from unfreeze.series.lineage import read_settings
from unfreeze.series.photos import SeriesPhotos
from unfreeze.training.batches import Batches
from unfreeze.training.tensorboard import write_hparams


def evaluate_on_test(
    runs: Sequence[RunFolder],
    photos: SeriesPhotos,
    series: Sequence[Experiment],
    frozen: FrozenLayers,
    out: SeriesFolder,
    why: str,
) -> None:
    """Add `predictions.csv` and test figures to every run that has none yet.

    Args:
        runs: trained ones.
        photos: of the series.
        series: its experiments, which share what frozen layers make of the test photos.
        frozen: engines and cache.
        out: the series' folder, which keeps the record of reads.
        why: goes on record with the read.
    """
    waiting = [run for run in runs if read_json(run.metrics)["test"] is None]
    if not waiting or not photos.splits.test:
        return
    names = [run.path.relative_to(out.path).as_posix() for run in waiting]
    record_test_read(out.test_reads, why, names, len(photos.splits.test))
    with task("Testing", len(waiting)) as advance:
        for run in waiting:
            started = time.perf_counter()
            experiment = read_settings(run)
            metrics = _test(run, photos, Division(experiment, series, frozen))
            figures = read_json(run.metrics)
            figures["test"] = metrics.to_json(photos.classes)
            spent = time.perf_counter() - started
            for part in ("evaluate", "total"):
                figures["seconds"][part] = round(figures["seconds"][part] + spent, 3)
            write_json(run.metrics, figures)
            write_hparams(out.events(experiment.name, experiment.seeds[0]), *_hparams(experiment, metrics))
            advance(1)


def _test(run: RunFolder, photos: SeriesPhotos, division: Division) -> Metrics:
    """Predict the test photos with the best weights, and keep the predictions."""
    experiment, test = division.experiment, photos.splits.test
    labels = photos.labels(test)
    classifier = build_classifier(pretrained_backbone(experiment.backbone, experiment.image_size), len(photos.classes))
    classifier.load_weights(run.checkpoint("best"))
    unfrozen = unfrozen_layers(backbone_of(classifier), experiment.phases[-1].unfreeze)
    rows = division.rows(classifier, unfrozen, photos.pixels(test, experiment), training=False)
    if isinstance(rows, Activations):
        rows.compute()
    trained: Any = division.trained(classifier, unfrozen)
    probabilities = trained.predict(Batches(rows, labels, experiment.batch_size), verbose=0)
    paths = tuple(photo.path for photo in test)
    write_predictions(run.predictions, Predictions(paths, labels, photos.classes, probabilities))
    return evaluate(labels, probabilities)


def _hparams(experiment: Experiment, metrics: Metrics) -> tuple[dict[str, Any], dict[str, float]]:
    """Give an experiment's settings and test figures as TensorBoard's HParams tab shows them."""
    last = experiment.phases[-1]
    settings = {
        "name": experiment.name,
        "seed": experiment.seeds[0],
        "kind": experiment.kind,
        "backbone": experiment.backbone,
        "fraction": experiment.fraction,
        "augment": bool(experiment.augment),
        "unfreeze": str(last.unfreeze),
        "epochs": experiment.epochs,
        "learning_rate": last.learning_rate,
        "batch_size": experiment.batch_size,
    }
    return settings, {
        "test_accuracy": metrics.accuracy,
        "test_loss": metrics.loss,
        "test_macro_f1": metrics.macro_f1,
    }
