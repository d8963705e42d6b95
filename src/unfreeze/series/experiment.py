"""One experiment with one seed, from pretrained weights to a saved model: the file to read first."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from unfreeze.config import Experiment
from unfreeze.data.inputs import Pixels
from unfreeze.evaluation.metrics import evaluate
from unfreeze.files import write_atomically
from unfreeze.models.backbones import build_backbone
from unfreeze.models.classifier import backbone_of, build_classifier, without_augmentation
from unfreeze.models.unfreezing import cut_block, unfrozen_layers
from unfreeze.models.weights import count_parameters, weights_sha256
from unfreeze.progress import say
from unfreeze.series.folders import RunFolder, write_json, write_yaml
from unfreeze.series.lineage import Parent, lineage, settings
from unfreeze.series.photos import SeriesPhotos, describe
from unfreeze.training.batches import Batches
from unfreeze.training.callbacks import Checkpoint, EpochProgress, HistoryFile
from unfreeze.training.phase import train_phase
from unfreeze.training.tensorboard import TensorBoardEvents


@dataclass(frozen=True)
class Inputs:
    """An experiment's photos as its model takes them in."""

    train: Pixels
    train_labels: np.ndarray
    val: Pixels
    val_labels: np.ndarray


def train_experiment(
    experiment: Experiment,
    seed: int,
    parent: Parent | None,
    photos: SeriesPhotos,
    run: RunFolder,
    events: Path,
) -> None:
    """Train one experiment; weights, history, lineage, model and validation figures end up in `run`.

    Args:
        experiment: complete settings.
        seed: draws the head's first weights and the order of the photos.
        parent: whose weights to start from; None starts from ImageNet's.
        photos: of the whole series; the experiment takes its share.
        run: folder for everything that is written; `metrics.json` comes last and marks the end.
        events: folder for TensorBoard's files.
    """
    clock = [time.perf_counter()]
    run.checkpoint("last").parent.mkdir(parents=True, exist_ok=True)
    config = settings(experiment, seed, describe(photos))
    write_yaml(run.config, config)
    write_json(run.classes, list(photos.classes))

    inputs = read_inputs(experiment, photos)
    clock.append(time.perf_counter())

    classifier = start_model(experiment, seed, parent, photos.classes)
    started_from = weights_sha256(classifier)
    phases = train_phases(experiment, seed, parent, classifier, inputs, run, events)
    clock.append(time.perf_counter())

    # The best epoch's weights are the result: of the model, the figures, and the children
    classifier.load_weights(run.checkpoint("best"))
    val = None
    if len(inputs.val_labels):
        batches = Batches(inputs.val, inputs.val_labels, experiment.batch_size)
        val = evaluate(inputs.val_labels, without_augmentation(classifier).predict(batches, verbose=0))
    with write_atomically(run.model) as path:
        classifier.save(path)
    clock.append(time.perf_counter())

    ended_with = weights_sha256(classifier)
    write_json(run.lineage, lineage(run, config, parent, started_from, ended_with, phases, experiment.engine))
    data, train, evaluation = (round(end - start, 3) for start, end in zip(clock, clock[1:], strict=False))
    seconds = {"data": data, "features": 0.0, "train": train, "evaluate": evaluation}
    figures = {
        "train_images": len(inputs.train_labels),
        "trainable_parameters": phases[-1]["trainable_parameters"],
        "seconds": {**seconds, "total": round(sum(seconds.values()), 3)},
        "val": val.to_json(photos.classes) if val else None,
        "test": None,
    }
    write_json(run.metrics, figures)


def read_inputs(experiment: Experiment, photos: SeriesPhotos) -> Inputs:
    """Give the experiment its fraction of the training photos, each epoch in its own view, and validation photos."""
    train, val = photos.splits.train(experiment.fraction), photos.splits.val
    size, resize, augment = experiment.image_size, experiment.resize, experiment.augment or None
    return Inputs(
        photos.pixels(train, size, resize, augment, experiment.view_seed, experiment.views),
        photos.labels(train),
        photos.pixels(val, size, resize),
        photos.labels(val),
    )


def start_model(
    experiment: Experiment, seed: int, parent: Parent | None, classes: tuple[str, ...]
) -> keras.Model:
    """Build the whole model with the weights from which training starts."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    augment = experiment.augment or None
    backbone = build_backbone(experiment.backbone, experiment.image_size)
    classifier = build_classifier(backbone, len(classes), augment, seed)
    if parent and parent.classes == classes:
        classifier.load_weights(parent.weights)
    elif parent:
        # The backbone is shared, so it keeps what is loaded around the parent's head.
        build_classifier(backbone, len(parent.classes)).load_weights(parent.weights)
        say(f"{experiment.name}: {parent.run.path} knows other classes, so the head starts anew")
    return classifier


def train_phases(
    experiment: Experiment,
    seed: int,
    parent: Parent | None,
    classifier: keras.Model,
    inputs: Inputs,
    run: RunFolder,
    events: Path,
) -> list[dict[str, Any]]:
    """Run the phases in turn and give, for each, what was trained and proof that the rest did not move."""
    trained = without_augmentation(classifier)
    backbone = backbone_of(classifier)
    size = experiment.batch_size
    validation = Batches(inputs.val, inputs.val_labels, size) if len(inputs.val_labels) else None
    history = HistoryFile(run.history)
    tensorboard = TensorBoardEvents(events, history.rows, parent.epochs if parent else 0)
    callbacks = [
        Checkpoint(classifier, run.checkpoint("best"), monitor="val_loss" if validation else None),
        Checkpoint(classifier, run.checkpoint("last")),
        history,
        tensorboard,
    ]
    record, done = [], 0
    for phase in experiment.phases:
        unfrozen = unfrozen_layers(backbone, phase.unfreeze)
        if block := cut_block(backbone, unfrozen):
            say(f"{experiment.name}: unfreeze {phase.unfreeze} cuts through {block}")
        frozen = [layer for layer in backbone.layers if layer.name not in unfrozen]
        before = weights_sha256(frozen)
        batches = Batches(inputs.train, inputs.train_labels, size, seed, epoch=done)
        epochs = range(done, done + phase.epochs)
        shown = EpochProgress(f"{experiment.name}, seed {seed}", phase.epochs, len(batches))
        rate = phase.learning_rate or 0.0
        train_phase(classifier, trained, unfrozen, rate, batches, validation, epochs, [*callbacks, shown])
        record.append(
            {
                "unfrozen_layers": unfrozen,
                "trainable_parameters": count_parameters(classifier.trainable_weights),
                "frozen_layers": len(frozen),
                "frozen_sha256_before": before,
                "frozen_sha256_after": weights_sha256(frozen),
            }
        )
        done = epochs.stop
    tensorboard.close()
    return record
