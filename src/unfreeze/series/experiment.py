"""One experiment with one seed, from pretrained weights to a saved model: the file to read first."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from unfreeze.config import Experiment
from unfreeze.errors import RunError
from unfreeze.evaluation.calibration import fit_temperature
from unfreeze.evaluation.metrics import evaluate
from unfreeze.files import write_atomically
from unfreeze.models.backbones import pretrained_backbone
from unfreeze.models.classifier import backbone_of, begin_dropout, build_classifier, reused_classifier
from unfreeze.models.unfreezing import cut_block, unfrozen_layers
from unfreeze.models.weights import count_parameters, weights_sha256
from unfreeze.progress import say
from unfreeze.series.division import Division
from unfreeze.series.environment import environment
from unfreeze.series.folders import RunFolder, write_json, write_yaml
from unfreeze.series.lineage import Parent, lineage, settings
from unfreeze.series.photos import SeriesPhotos, describe
from unfreeze.training.batches import Batches, every_view, predict
from unfreeze.training.callbacks import Checkpoint, EpochProgress, HistoryFile
from unfreeze.training.custom import Custom
from unfreeze.training.labels import balanced_weights, smoothed
from unfreeze.training.linear_probe import fit_head
from unfreeze.training.memory import ensure_batch_fits
from unfreeze.training.phase import train_phase
from unfreeze.training.regimen import early_stopping
from unfreeze.training.resume import TrainingState
from unfreeze.training.tensorboard import TensorBoardEvents


def train_experiment(
    experiment: Experiment,
    seed: int,
    parent: Parent | None,
    photos: SeriesPhotos,
    division: Division,
    run: RunFolder,
    events: Path,
    custom: Custom,
    watchers: Sequence[keras.callbacks.Callback] = (),
) -> np.ndarray:
    """Train one experiment; weights, history, lineage, model and validation figures end up in `run`.

    Args:
        experiment: complete settings.
        seed: draws the head's first weights and the order of the photos.
        parent: whose weights to start from; None starts from ImageNet's.
        photos: of the whole series; the experiment takes its share.
        division: says which part of the network runs once a photo and which is trained.
        run: folder for everything that is written; `metrics.json` comes last and marks the end.
        events: folder for TensorBoard's files.
        custom: the caller's own callbacks, optimizer, loss and head.
        watchers: callbacks that look on, and change nothing but when training ends.

    Returns:
        Which validation photos the best weights get right, bool [photos].
    """
    clock = Clock()
    run.checkpoint("last").parent.mkdir(parents=True, exist_ok=True)
    config = settings(experiment, seed, describe(photos), custom.described())
    write_yaml(run.config, config)
    write_json(run.classes, list(photos.classes))
    if experiment.patience:
        custom = replace(custom, callbacks=[*custom.callbacks, early_stopping(experiment.patience)])

    # The photos: a fraction of the training photos, each epoch in its own view, and the validation photos
    with clock("data"):
        train, val = photos.splits.train(experiment.fraction), photos.splits.val
        val_pixels = photos.pixels(val, experiment)
        val_labels, class_count = photos.labels(val), len(photos.classes)
        train_labels = photos.labels(train)
        weights = balanced_weights(train_labels) if experiment.class_weights else None

    # The model: ImageNet's weights or the parent's, and a head
    with clock("train"):
        classifier = start_model(experiment, seed, parent, photos.classes, custom)
        backbone = backbone_of(classifier)
        started_from = weights_sha256(classifier)
        history = HistoryFile(run.history)
        best = Checkpoint(classifier, run.checkpoint("best"), monitor="val_loss" if val else None)
        last = Checkpoint(classifier, run.checkpoint("last"), twin=best)
        identity = {**config, "weights": started_from}
        here = environment(experiment.engine)
        state = TrainingState(run.state, classifier, best, history, custom.callbacks, identity, here)
        tensorboard = TensorBoardEvents(events, history.rows, parent.epochs if parent else 0)
        callbacks = [best, last, history, tensorboard, *watchers]

    # The phases: frozen layers run once a photo and view, the rest is trained
    validation = trained = None
    unfrozen: list[str] = []
    for phase in experiment.phases[state.phase :]:
        unfrozen = unfrozen_layers(backbone, phase.unfreeze)
        if block := cut_block(backbone, unfrozen):
            say(f"{experiment.name}: unfreeze {phase.unfreeze} cuts through {block}")
        seen, epochs = experiment.in_phase(phase), state.begin(unfrozen, phase.epochs)
        with clock("features"):
            train_pixels = photos.training_pixels(train, seen, phase, epochs)
            train_rows = replace(division, experiment=seen).rows(classifier, unfrozen, train_pixels, True).compute()
            val_rows = division.rows(classifier, unfrozen, val_pixels, training=False).compute()
        with clock("train"), proof_of_freezing(classifier, unfrozen, state.proofs):
            trained = division.trained(classifier, unfrozen)
            ensure_batch_fits(trained, min(experiment.batch_size, len(train)))
            own = custom.softened(phase)
            train_targets, val_targets = (own.labels(each, class_count) for each in (train_labels, val_labels))
            if phase.label_smoothing:
                train_targets = smoothed(train_targets, phase.label_smoothing)
            batches = Batches(
                train_rows, train_targets, experiment.batch_size, seed, epochs.start, weights, phase.mixup
            )
            validation = Batches(val_rows, val_targets, experiment.batch_size) if val else None
            shown = [*callbacks, EpochProgress(f"{experiment.name}, {run.title}", phase.epochs, len(batches))]
            if phase.solver == "lbfgs":
                batches = every_view(batches, train_pixels.views)
                fit_head(classifier, trained, batches, validation, epochs, [*shown, *own.callbacks])
            else:
                rate, mixed = phase.learning_rate or 0.0, experiment.in_bfloat16
                train_phase(
                    classifier, trained, unfrozen, rate, batches, validation, epochs, shown, own, state, phase, mixed
                )
        if phase is not experiment.phases[-1]:
            state.end()
    tensorboard.close()

    # The best epoch's weights are the result: of the model, the figures, and the children
    with clock("evaluate"):
        if not run.checkpoint("best").exists():
            raise RunError(
                f"{experiment.name}, {run.title}: the validation loss was never a number, so the training diverged. "
                "Lower the experiment's learning_rate and run it again."
            )
        if not best.is_current:
            classifier.load_weights(run.checkpoint("best"))
        begin_dropout(classifier, seed)
        figures, temperature, right = None, 1.0, np.zeros(0, bool)
        if validation and trained:
            pixels, rows = photos.test_pixels(val, experiment), validation.rows
            if experiment.test_views:
                rows = division.rows(classifier, unfrozen, pixels, training=False).compute()
            probabilities = predict(trained, rows, experiment.batch_size, pixels.views)
            figures = evaluate(val_labels, probabilities).to_json(photos.classes)
            right = probabilities.argmax(axis=1) == val_labels
            if photos.validation != "test":  # the test photos calibrate nothing
                temperature = fit_temperature(val_labels, probabilities)
        with write_atomically(run.model) as path:
            classifier.save(path)

    origin = lineage(run, config, parent, started_from, weights_sha256(classifier), state.proofs)
    write_json(run.lineage, {**origin, **({"environments_before": state.environments} if state.environments else {})})
    metrics = {
        "train_images": len(train),
        "trainable_parameters": state.proofs[-1]["trainable_parameters"],
        "seconds": clock.seconds(),
        "val": figures,
        "test": None,
        "temperature": temperature,
    }
    run.seal(metrics)
    run.state.unlink(missing_ok=True)
    return right


def start_model(
    experiment: Experiment, seed: int, parent: Parent | None, classes: tuple[str, ...], custom: Custom
) -> keras.Model:
    """Build the whole model with the weights from which training starts."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    backbone = pretrained_backbone(experiment.backbone, experiment.image_size)
    augment = experiment.augment or None
    if custom.head:
        classifier = build_classifier(backbone, len(classes), augment, seed, custom.head, experiment.dropout)
    else:
        classifier = reused_classifier(backbone, len(classes), augment, seed, experiment.dropout)
    if parent and (parent.classes, parent.head) == (classes, custom.described().get("head")):
        classifier.load_weights(parent.weights)
    elif parent:
        whole: Any = keras.saving.load_model(parent.run.model, compile=False)
        whole.load_weights(parent.weights)
        backbone.set_weights(backbone_of(whole).get_weights())
        why = "knows other classes" if parent.classes != classes else "has another head"
        say(f"{experiment.name}: {parent.run.path} {why}, so the head starts anew")
    begin_dropout(classifier, seed)
    return classifier


@contextmanager
def proof_of_freezing(classifier: keras.Model, unfrozen: list[str], proofs: list[dict[str, Any]]) -> Iterator[None]:
    """Add to `proofs` what was trained in the block, and the frozen weights' hash before and after."""
    frozen = [layer for layer in backbone_of(classifier).layers if layer.name not in unfrozen]
    before = weights_sha256(frozen)
    yield
    proofs.append(
        {
            "unfrozen_layers": unfrozen,
            "trainable_parameters": count_parameters(classifier.trainable_weights),
            "frozen_layers": len(frozen),
            "frozen_sha256_before": before,
            "frozen_sha256_after": weights_sha256(frozen),
        }
    )


class Clock:
    """Adds up where the time goes."""

    def __init__(self) -> None:
        self._spent: dict[str, float] = dict.fromkeys(("data", "features", "train", "evaluate"), 0.0)

    @contextmanager
    def __call__(self, part: str) -> Iterator[None]:
        """Count the block's time to `part`."""
        started = time.perf_counter()
        yield
        self._spent[part] += time.perf_counter() - started

    def seconds(self) -> dict[str, float]:
        """Give the seconds of each part and of all together."""
        return {part: round(spent, 3) for part, spent in {**self._spent, "total": sum(self._spent.values())}.items()}
