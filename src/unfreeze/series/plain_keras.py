"""A series as one plain Keras script: its text. What is the same in all of them stands in `plain_keras.template`."""

import importlib.resources
import inspect
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Literal

import keras

from unfreeze.config import AnyExperiment, AsIs, Augmentation, Experiment, Phase
from unfreeze.models.applications import APPLICATIONS
from unfreeze.models.unfreezing import unfrozen_layers
from unfreeze.series.random_view import RandomView
from unfreeze.series.recipe import parent_name

LINE = 88
"""Longest line of the script, as ruff and black wrap by default."""

Backbones = Mapping[tuple[str, int], keras.Model]
"""(Name, image size) -> network; only the names of its layers are looked at."""


def plain_keras_script(
    name: str,
    file: str,
    data: Path,
    experiments: Sequence[AnyExperiment],
    validation: Literal["val", "test"] | None,
    backbones: Backbones,
    notes: Sequence[str] = (),
) -> str:
    """Write experiments as a script.

    Args:
        name: of the series.
        file: name of the script.
        data: folder that the paths in `splits.csv` start from.
        experiments: complete ones in the order in which they run; at least one of them is trained.
        validation: the split whose loss chooses the best epoch; None keeps the last one.
        backbones: of all experiments.
        notes: what else a reader should know, a line each.

    Returns:
        Python, formatted as ruff formats it.
    """
    trained = [experiment for experiment in experiments if isinstance(experiment, Experiment)]
    augmentations = list(dict.fromkeys(_changes(experiment) for experiment in trained if experiment.augment))
    networks = list(dict.fromkeys(experiment.backbone for experiment in trained))
    first = trained[0]
    template = importlib.resources.files("unfreeze.series").joinpath("plain_keras.template")
    return Template(template.read_text(encoding="utf-8")).substitute(
        title=f"{name}: {len(trained)} experiment{'s' if len(trained) > 1 else ''} in plain Keras.",
        file=file,
        notes="".join(f"\n{note}" for note in notes),
        data=_call("DATA = Path", _literal(data.as_posix())),
        image_size=first.image_size,
        batch_size=first.batch_size,
        seed=first.seeds[0],
        augmentations="".join(f"\n{_augmentation_settings(each, augmentations)}" for each in augmentations),
        random_view=inspect.getsource(RandomView).rstrip(),
        networks="\n\n\n".join(network_function(backbone) for backbone in networks),
        network=identifier(first.backbone),
        kept="best" if validation else "last",
        checkpoint='\n            monitor="val_loss",\n            save_best_only=True,' if validation else "",
        validation=f'\n        validation_data=dataset("{validation}", 1.0, image_size),' if validation else "",
        sections="\n\n".join(
            _section(experiment, first, trained, augmentations, backbones) for experiment in experiments
        ),
    )


def comes_with_keras(backbone: str) -> bool:
    """Say whether `keras.applications` has a backbone; others have to lie beside the script."""
    return backbone in APPLICATIONS


def identifier(name: str) -> str:
    """Make a Python name, and the beginning of a file's, of a backbone's name."""
    return re.sub(r"\W|^(?=\d)", "_", name, flags=re.ASCII)


def _section(
    experiment: AnyExperiment,
    first: Experiment,
    trained: Sequence[Experiment],
    augmentations: list[Augmentation],
    backbones: Backbones,
) -> str:
    """Write one experiment; what is as in the first one needs no argument."""
    name, title = _literal(experiment.name), f"# %% {' '.join(experiment.name.split())}"
    if isinstance(experiment, AsIs):
        return f"{title}: the pretrained network's own answers, for which there is `unfreeze run`"
    parent = parent_name(experiment)
    kind = experiment.kind.replace("fine_t", "fine-t").replace("_", " ") + (f" of {parent}" if parent else "")
    lines = [f"{title}: {kind}, on {100 * experiment.fraction:g}% of the photos"]

    arguments = [_augmentation_name(_changes(experiment), augmentations)] if experiment.augment else []
    arguments += [f"network={identifier(experiment.backbone)}"] if experiment.backbone != first.backbone else []
    arguments += [f"image_size={experiment.image_size}"] if experiment.image_size != first.image_size else []
    lines.append(_call("model, backbone = build_model", *arguments))
    if parent:
        which = ".last" if experiment.start_from == f"{parent}@last" else ""
        lines.append(_call("model.load_weights", f"CHECKPOINTS / {_literal(f'{parent}{which}.weights.h5')}"))

    backbone, epochs = backbones[experiment.backbone, experiment.image_size], 0
    for phase in experiment.phases:
        lines += _freezing(phase, backbone, is_first=epochs == 0)
        arguments = [name, "model", f"learning_rate={phase.learning_rate}", f"epochs={phase.epochs}"]
        arguments += [f"first_epoch={epochs}"] if epochs else []
        arguments += [f"fraction={experiment.fraction}"] if experiment.fraction != 1 else []
        arguments += [f"batch_size={experiment.batch_size}"] if experiment.batch_size != first.batch_size else []
        lines.append(_call("train", *arguments))
        epochs += phase.epochs
    if any(other.start_from == f"{experiment.name}@last" for other in trained):
        lines.append(_call("model.save_weights", f"CHECKPOINTS / {_literal(f'{experiment.name}.last.weights.h5')}"))
    return "\n".join([*lines, _call("evaluate", name, "model")])


def _freezing(phase: Phase, backbone: keras.Model, is_first: bool) -> list[str]:
    unfrozen = unfrozen_layers(backbone, phase.unfreeze)
    if not unfrozen:
        return [] if is_first else ["backbone.trainable = False"]
    if len(unfrozen) == len(backbone.layers):
        return ["unfreeze_last(len(backbone.layers), backbone)"]
    named = [] if isinstance(phase.unfreeze, int) else [f"# from the layer {unfrozen[0]} on"]
    return [*named, f"unfreeze_last({len(unfrozen)}, backbone)"]


def _changes(experiment: Experiment) -> Augmentation:
    """Give the experiment's augmentation without the number of its views, which plain Keras can't count."""
    assert experiment.augment
    return experiment.augment.model_copy(update={"views": None})


def _augmentation_name(augment: Augmentation, augmentations: list[Augmentation]) -> str:
    return f"AUGMENTATION_{augmentations.index(augment)}" if augment != augmentations[0] else "AUGMENTATION"


def _augmentation_settings(augment: Augmentation, augmentations: list[Augmentation]) -> str:
    settings = {key: value for key, value in augment.model_dump(exclude={"views"}).items() if value}
    lines = "".join(f"    {_literal(key)}: {json.dumps(value)},\n" for key, value in settings.items())
    return f"{_augmentation_name(augment, augmentations)} = {{\n{lines}}}"


def network_function(backbone: str) -> str:
    """Write the function that puts a backbone on photos, with the preprocessing that it needs.

    Args:
        backbone: its name.
    """
    if not comes_with_keras(backbone):
        return f'''\
def {identifier(backbone)}(x):
    """Run {backbone} with ImageNet's weights on photos from 0 to 255.

    Keras does not have it, so it lies beside this script.

    Returns the network, frozen, and its last feature map.
    """
    file = HERE / f"{identifier(backbone)}_{{x.shape[1]}}.keras"
    network = keras.saving.load_model(file, compile=False)
    network.trainable = False
    return network, InferenceMode(network)(x)'''
    constructor = APPLICATIONS[backbone].constructor
    module = getattr(keras.applications, constructor).__module__.rpartition(".")[2]
    return f'''\
def {identifier(backbone)}(x):
    """Run {constructor} with ImageNet's weights on photos from 0 to 255.

    Returns the network, frozen, and its last feature map.
    """
    network = keras.applications.{constructor}(
        include_top=False,
        weights="imagenet",
        input_shape=x.shape[1:],
    )
    network.trainable = False
    x = keras.applications.{module}.preprocess_input(x)
    return network, InferenceMode(network)(x)'''


def _call(function: str, *arguments: str) -> str:
    """Write a call on one line, or where that is too long with an argument a line."""
    line = f"{function}({', '.join(arguments)})"
    return line if len(line) <= LINE else f"{function}(\n" + "".join(f"    {each},\n" for each in arguments) + ")"


def _literal(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
