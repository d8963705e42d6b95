"""An experiment's network in two: stages that run once a photo, and the part that is trained."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import keras
import numpy as np

from unfreeze.data.inputs import Pixels
from unfreeze.features.activations import Activations
from unfreeze.features.cut import Cut, find_cut, split
from unfreeze.features.engine import Engine
from unfreeze.features.faster_layers import with_faster_layers
from unfreeze.features.graph import tensor_names
from unfreeze.models.classifier import (
    InferenceMode,
    backbone_of,
    feature_extractor,
    head_layers,
    on_features,
    with_pooling,
)

cut_of = lru_cache(maxsize=32)(find_cut)
"""`find_cut`, remembered: experiments of a series ask for the same cuts again and again."""


@dataclass(frozen=True)
class Stop:
    """A cut at which some experiment of the series trains, where rows are worth keeping.

    Attributes:
        unfrozen: names of the layers that are trained there.
        keep: whether that experiment needs the rows of the photos and views at hand, too.
    """

    unfrozen: Sequence[str]
    keep: bool


@dataclass(frozen=True)
class UncachedRows:
    """What frozen layers make of photos, computed anew each time; in its place `Activations` remembers."""

    pixels: Pixels
    engine: Engine

    def __len__(self) -> int:
        """Count the photos."""
        return len(self.pixels)

    def compute(self) -> "UncachedRows":
        """Give the rows themselves: nothing is computed beforehand."""
        return self

    def take(self, indices: np.ndarray, epoch: int = 0) -> np.ndarray:
        """Give these photos' rows as `epoch` (from 0) sees them: float32 [len(indices), ...]."""
        return self.engine.run(self.pixels.take(indices, epoch))


@dataclass
class FrozenLayers:
    """The engines of a series, opened once, and where their results are kept."""

    cache: Path
    _engines: dict[tuple[str, bool], Engine] = field(default_factory=dict)

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
            precision: of the rows, `float16` or `float32`; for the former a GPU may compute in bfloat16.
        """
        extractor = feature_extractor(classifier)
        own = cut_of(extractor, tuple(unfrozen))
        if own.at_pixels:
            return pixels
        kept: dict[Cut, bool] = {}
        for stop in stops:
            cut = cut_of(extractor, tuple(stop.unfrozen))
            kept[cut] = kept.get(cut, False) or stop.keep
        way = _way_to(own, kept)
        models = _stages(extractor, [cut.tensors for cut in way])
        stages = [self._engine(model, in_bfloat16=precision == "float16") for model in models]
        return Activations(pixels, stages, [kept.get(cut, False) for cut in way], precision, self.cache)

    def uncached(self, classifier: keras.Model, unfrozen: Sequence[str], pixels: Pixels) -> "Pixels | UncachedRows":
        """Give photos as the trained part takes them in, by plain Keras and computed whenever they are asked for.

        Args:
            classifier: the whole model.
            unfrozen: names of its backbone's layers that are trained.
            pixels: the photos.
        """
        extractor = feature_extractor(classifier)
        own = cut_of(extractor, tuple(unfrozen))
        if own.at_pixels:
            return pixels
        engine = Engine(_stages(extractor, [own.tensors])[0], self.cache / "engines")
        engine.stay_in_keras("it is the reference")
        return UncachedRows(pixels, engine)

    def _engine(self, model: keras.Model, in_bfloat16: bool) -> Engine:
        """Give the engine that was opened for the same layers and weights, or a new one.

        One that runs nothing exported depends on its model, whose layers may have been trained in the meantime.
        """
        engine = Engine(model, self.cache / "engines", in_bfloat16)
        key = engine.sha256, engine.in_bfloat16
        opened = self._engines.get(key)
        if opened and opened.is_exported:
            return opened
        self._engines[key] = engine
        return engine


def trained_part(classifier: keras.Model, unfrozen: Sequence[str]) -> keras.Model:
    """Give the part of a classifier that is trained, from the cut to the probabilities, sharing every layer.

    Its input is a row as `FrozenLayers.rows` gives it. The backbone's layers in it always run in inference mode.
    Classifiers of the same layers share the part, too.
    """
    return _trained_part(backbone_of(classifier), head_layers(classifier), tuple(unfrozen))


@lru_cache(maxsize=2)
def _trained_part(backbone: keras.Model, head: tuple[keras.Layer, ...], unfrozen: tuple[str, ...]) -> keras.Model:
    extractor = with_pooling(backbone)
    cut = cut_of(extractor, unfrozen)
    _, suffix = split(extractor, cut)
    row = keras.Input(cut.shapes[0] if len(cut.shapes) == 1 else (sum(map(int, map(np.prod, cut.shapes))),), name="row")
    features = InferenceMode(with_faster_layers(suffix))(_taken_apart(row, cut)) if suffix else row
    return keras.Model(row, on_features(head, features), name="trained_part")


def _taken_apart(row: Any, cut: Cut) -> Any:
    """Undo what an engine does with several tensors: it lays them end to end."""
    if len(cut.shapes) == 1:
        return row
    ends = np.cumsum([0, *(int(np.prod(shape)) for shape in cut.shapes)])
    return [
        keras.ops.reshape(row[:, start:end], (-1, *shape))
        for start, end, shape in zip(ends, ends[1:], cut.shapes, strict=False)
    ]


def _way_to(own: Cut, cuts: Iterable[Cut]) -> list[Cut]:
    """Choose the cuts that lie one behind the other before a cut, and that cut itself."""
    way: list[Cut] = []
    for cut in sorted(cuts, key=lambda cut: (len(cut.prefix), cut.tensors)):
        lies_behind = not way or set(way[-1].prefix) < set(cut.prefix)
        if lies_behind and not cut.at_pixels and set(cut.prefix) < set(own.prefix):
            way.append(cut)
    return [*way, own]


def _stages(extractor: keras.Model, cuts: Sequence[Sequence[str]]) -> list[keras.Model]:
    """Cut a network into one model a stage; each stage ends with the tensors of these names."""
    names = tensor_names(extractor)
    ends = [[names[name] for name in cut] for cut in cuts]
    starts = [list(extractor.inputs), *ends]
    return [_stage(start, end) for start, end in zip(starts, ends, strict=False)]


def _stage(start: list[keras.KerasTensor], end: list[keras.KerasTensor]) -> keras.Model:
    """Build a model from some tensors to others; Keras needs a layer where one of them is just handed on."""
    end = [
        keras.layers.Identity(name=f"handed_on_{number}")(tensor) if any(tensor is given for given in start) else tensor
        for number, tensor in enumerate(end)
    ]
    return keras.Model(_one(start), _one(end))


def _one(tensors: list[keras.KerasTensor]) -> keras.KerasTensor | list[keras.KerasTensor]:
    return tensors[0] if len(tensors) == 1 else tensors
