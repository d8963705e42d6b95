"""The test photos: read once, when all experiments are trained, and every read goes on record."""

import time
from collections.abc import Sequence

import keras

from unfreeze.data.test_reads import record_test_read
from unfreeze.evaluation.metrics import evaluate
from unfreeze.evaluation.predictions import Predictions, write_predictions
from unfreeze.progress import task
from unfreeze.series.folders import RunFolder, SeriesFolder, read_json, read_yaml, write_json
from unfreeze.series.photos import SeriesPhotos
from unfreeze.training.batches import Batches
from unfreeze.training.tensorboard import write_hparams


def evaluate_on_test(runs: Sequence[RunFolder], photos: SeriesPhotos, out: SeriesFolder, why: str) -> None:
    """Add `predictions.csv` and test figures to every run that has none yet.

    Args:
        runs: trained ones.
        photos: of the series.
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
            _test(run, photos, out)
            advance(1)


def _test(run: RunFolder, photos: SeriesPhotos, out: SeriesFolder) -> None:
    started = time.perf_counter()
    config, figures, test = read_yaml(run.config), read_json(run.metrics), photos.splits.test
    labels = photos.labels(test)
    rows = photos.pixels(test, config["image_size"], config["resize"])
    model = keras.saving.load_model(run.model, compile=False)
    probabilities = model.predict(Batches(rows, labels, config["batch_size"]), verbose=0)
    predictions = Predictions(tuple(photo.path for photo in test), labels, photos.classes, probabilities)
    write_predictions(run.predictions, predictions)

    metrics = evaluate(labels, probabilities)
    figures["test"] = metrics.to_json(photos.classes)
    spent = time.perf_counter() - started
    for part in ("evaluate", "total"):
        figures["seconds"][part] = round(figures["seconds"][part] + spent, 3)
    write_json(run.metrics, figures)

    hparams = {key: config[key] for key in ("name", "backbone", "fraction", "kind", "seed", "batch_size")}
    last = config["phases"][-1]
    hparams |= {"unfreeze": str(last["unfreeze"]), "learning_rate": last["learning_rate"]}
    hparams |= {
        "augment": bool(config["augment"]),
        "epochs": sum(phase["epochs"] for phase in config["phases"]),
    }
    final = {"test_accuracy": metrics.accuracy, "test_loss": metrics.loss, "test_macro_f1": metrics.macro_f1}
    write_hparams(out.events(config["name"], config["seed"]), hparams, final)
