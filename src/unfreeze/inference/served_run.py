"""A finished run as the web page uses it: a photo's bytes in, what the model says of it and where it looked out."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from unfreeze.data.photos import decode, photo_size, shrink
from unfreeze.errors import PhotoError
from unfreeze.inference.feature_map_network import FeatureMapNetwork, feature_map_network
from unfreeze.inference.finished import described, finished_run, runs_below
from unfreeze.inference.heat_map import class_activation, lay_over
from unfreeze.inference.own_photos import own_photos
from unfreeze.inference.prediction import Prediction, likeliest
from unfreeze.inference.predictor import TOP, Predictor, read_file
from unfreeze.limits import UPLOAD_LIMIT, UPLOAD_PIXELS

LARGEST_SIDE = 512
"""Of a photo that the page shows, in pixels."""


@dataclass(frozen=True, eq=False)
class Look:
    """What a model says of a photo, and where it looked.

    Attributes:
        photo: uint8 [height, width, 3], small enough for a page.
        overlay: the same with Grad-CAM for the likeliest class laid over it; None where the model allows none.
        top: the likeliest classes with calibrated probabilities, likeliest first.
    """

    photo: np.ndarray
    overlay: np.ndarray | None
    top: tuple[tuple[str, float], ...]


class ServedRun:
    """A finished run on the page. Its methods may be called from several threads.

    Args:
        run: the RUN folder.
        name: what the page calls it.

    Raises:
        RunError: there is no finished run, or its files are damaged.

    Attributes:
        name: likewise.
        own: what is known of the run's photos.
        classes: names, in the order of the model's outputs.
    """

    def __init__(self, run: Path, name: str):
        self.name = name
        self.own = own_photos(run)
        self.classes = described(self.own.run).classes
        self._lock = threading.Lock()

    def prepare(self) -> tuple[Predictor, FeatureMapNetwork]:
        """Make ready what predictions need; the first time that a run is served this takes seconds.

        Raises:
            RunError: the run's model is damaged.
        """
        with self._lock:
            return self._ready

    @cached_property
    def _ready(self) -> tuple[Predictor, FeatureMapNetwork]:
        predictor = Predictor(self.own.run, quick=True)
        return predictor, feature_map_network(predictor)

    def predict(self, data: bytes, name: str, top: int = TOP) -> Prediction:
        """Answer as `unfreeze predict` does.

        Args:
            data: the file's bytes.
            name: of the file, for the answer.
            top: likeliest classes to give.

        Raises:
            RunError: the run's model is damaged.
        """
        predictor, network = self.prepare()
        try:
            row = network.predict(predictor.pixels(data))[0]
        except PhotoError as error:
            return Prediction(name, (), str(error))
        return Prediction(name, likeliest(self.classes, row, top))

    def look(self, data: bytes) -> Look:
        """Predict a photo, and find out where the model looked.

        Raises:
            PhotoError: it is no usable photo.
            RunError: the run's model is damaged.
        """
        photo = shrink(decode(data), LARGEST_SIDE)
        predictor, network = self.prepare()
        row, features = network.predict(predictor.pixels(data))
        overlay = None
        if features is not None:
            heat = class_activation(features, network.weights[:, int(row.argmax())])
            overlay = lay_over(photo, heat, predictor.resize)
        return Look(photo, overlay, likeliest(self.classes, row, TOP))


def served_runs(paths: Sequence[str | Path]) -> list[ServedRun]:
    """Open finished runs, under names that tell them apart.

    Args:
        paths: RUN folders, `OUT/experiments/NAME/seed-K`, or folders above them, which stand for all runs below.

    Raises:
        RunError: a path holds no finished run, or a run's files are damaged.
    """
    runs = list(
        dict.fromkeys(run.resolve() for path in map(Path, paths) for run in runs_below(path) or [finished_run(path)])
    )
    names = [_name(run, len({other.parents[2] for other in runs}) > 1) for run in runs]
    unique = [name if names.count(name) == 1 else str(run) for name, run in zip(names, runs, strict=True)]
    return [ServedRun(run, name) for run, name in zip(runs, unique, strict=True)]


def _name(run: Path, several_series: bool) -> str:
    seeds = len(list(run.parent.glob("*seed-*/metrics.json")))
    name = f"{run.parent.name}, {run.name}" if seeds > 1 else run.parent.name
    return f"{run.parents[2].name}: {name}" if several_series else name


def uploaded(file: Path) -> bytes:
    """Read a photo that came over the net.

    Raises:
        PhotoError: it is larger than the page takes, or no photo.
    """
    if file.stat().st_size > UPLOAD_LIMIT:
        raise PhotoError(f"has more than {UPLOAD_LIMIT // 10**6} MB")
    data = read_file(file)
    try:
        width, height = photo_size(data)
    except Exception:  # what is no photo is told apart by `decode`, in words
        return data
    if width * height > UPLOAD_PIXELS:
        raise PhotoError(f"has {width} x {height} pixels, more than {UPLOAD_PIXELS:,}")
    return data
