"""An experiment's network in two: stages that run once a photo, and the part that is trained."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from unfreeze.data.inputs import Pixels
from unfreeze.features.activations import Activations
from unfreeze.features.cut import Cut, find_cut, split
from unfreeze.features.engine import Engine
from unfreeze.features.graph import tensor_names
from unfreeze.models.classifier import InferenceMode, feature_extractor


@dataclass(frozen=True)
class Stop:
    """A cut at which some experiment of the series trains, where rows are worth keeping.

    Attributes:
        unfrozen: names of the layers that are trained there.
        keep: whether that experiment needs the rows of the photos and views at hand, too.
    """

    unfrozen: Sequence[str]
    keep: bool


@dataclass
class FrozenLayers:
    """The engines of a series, opened once, and where their results are kept."""

    cache: Path
    _engines: dict[str, Engine] = field(default_factory=dict)

    def rows(
        self,
        classifier: keras.Model,
        unfrozen: Sequence[str],
        stops: Sequence[Stop],
        pixels: Pixels,
        precision: str,
    ) -> Pixels | Activations:
        """Give photos as the trained part takes them in, not computed yet.

        Args:
            classifier: the whole model.
            unfrozen: names of its backbone's layers that are trained.
            stops: where other experiments of the series cut the same network. The way to this experiment's cut goes
                through all of them that lie before it, so that rows found on disk and rows computed now are the same.
            pixels: the photos.
            precision: of the rows, `float16` or `float32`.
        """
        extractor = feature_extractor(classifier)
        own = find_cut(extractor, unfrozen)
        if own.at_pixels:
            return pixels
        kept: dict[tuple[str, ...], bool] = {}
        for stop in stops:
            cut = find_cut(extractor, stop.unfrozen)
            if not cut.at_pixels and set(cut.prefix) < set(own.prefix):
                kept[cut.tensors] = kept.get(cut.tensors, False) or stop.keep
        depth = {name: position for position, name in enumerate(own.prefix)}
        before = sorted(kept, key=lambda tensors: max(depth[name.partition(":")[0]] for name in tensors))
        stages = [self._engine(model) for model in _stages(extractor, [*before, own.tensors])]
        return Activations(
            pixels, stages, [*(kept[cut] for cut in before), True], precision, self.cache / "activations"
        )

    def _engine(self, model: keras.Model) -> Engine:
        engine = Engine(model, self.cache / "engines")
        return self._engines.setdefault(engine.sha256, engine)


def trained_part(classifier: keras.Model, unfrozen: Sequence[str]) -> keras.Model:
    """Give the part of a classifier that is trained, from the cut to the probabilities, sharing every layer.

    Its input is a row as `FrozenLayers.rows` gives it. The backbone's layers in it run in inference mode, as in the
    whole model.
    """
    extractor = feature_extractor(classifier)
    cut = find_cut(extractor, unfrozen)
    _, suffix = split(extractor, cut)
    head = classifier.get_layer("head")
    row = keras.Input(cut.shapes[0] if len(cut.shapes) == 1 else (sum(map(int, map(np.prod, cut.shapes))),), name="row")
    features = InferenceMode(suffix)(_taken_apart(row, cut)) if suffix else row
    return keras.Model(row, head(features), name="trained_part")


def _taken_apart(row: Any, cut: Cut) -> Any:
    """Undo what an engine does with several tensors: it lays them end to end."""
    if len(cut.shapes) == 1:
        return row
    ends = np.cumsum([0, *(int(np.prod(shape)) for shape in cut.shapes)])
    return [
        keras.ops.reshape(row[:, start:end], (-1, *shape))
        for start, end, shape in zip(ends, ends[1:], cut.shapes, strict=False)
    ]


def _stages(extractor: keras.Model, cuts: Sequence[Sequence[str]]) -> list[keras.Model]:
    """Cut a network into one model a stage; each stage ends with the tensors of these names."""
    names = tensor_names(extractor)
    ends = [[names[name] for name in cut] for cut in cuts]
    starts = [list(extractor.inputs), *ends]
    return [keras.Model(_one(start), _one(end)) for start, end in zip(starts, ends, strict=False)]


def _one(tensors: list[keras.KerasTensor]) -> keras.KerasTensor | list[keras.KerasTensor]:
    return tensors[0] if len(tensors) == 1 else tensors
