"""A finished run or a pretrained network, put to use: photos in, classes with probabilities out."""

import difflib
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from unfreeze import progress
from unfreeze.backend import load_keras
from unfreeze.config import AS_IS_RESIZE
from unfreeze.data.photos import decode, first_bytes, least_sides, resize
from unfreeze.data.sources import photo_files
from unfreeze.errors import DataError, PhotoError, RunError
from unfreeze.evaluation.calibration import calibrate
from unfreeze.inference.embeddings import Embeddings
from unfreeze.inference.finished import finished_run
from unfreeze.inference.prediction import Prediction

TOP = 5
BATCH = 32


class Predictor:
    """A trained model with its class names and the way it wants its photos.

    Args:
        run: a RUN folder, `OUT/experiments/NAME/seed-K`, or a folder above it that holds exactly one; or a backbone's
            name, where no folder is called like that, for the pretrained network with ImageNet's classes.

    Attributes:
        classes: names, in the order of the model's outputs.
        image_size: side of the photos that the model takes, in pixels.
        resize: how photos are brought to that size.
        temperature: that calibrates the model's own probabilities.

    Raises:
        RunError: there is no finished run, or its files are damaged.
        BackboneError: the backbone's weights can't be had.
    """

    def __init__(self, run: str | Path):
        load_keras()
        from unfreeze.models.backbones import backbone_names

        self.run: Path | None = None
        self.temperature = 1.0
        if str(run) in backbone_names() and not Path(run).is_dir():
            self._open_backbone(str(run))
            return
        try:
            self.run = finished_run(run)
        except RunError as error:
            close = [] if Path(run).exists() else difflib.get_close_matches(str(run), backbone_names(), n=1)
            raise RunError(f"{error} Or do you mean the backbone {close[0]}?") if close else error from None
        self._open_run(self.run)

    def _open_backbone(self, name: str) -> None:
        import keras

        from unfreeze.models.backbones import build_imagenet_classifier
        from unfreeze.models.imagenet import imagenet_classes

        classifier = build_imagenet_classifier(name)
        self.classes: tuple[str, ...] = tuple(each.title for each in imagenet_classes())
        self.image_size, self.resize = classifier.input_shape[1], AS_IS_RESIZE
        self._model: Any = keras.Model(classifier.input, keras.layers.Softmax()(classifier.output))

    def _open_run(self, run: Path) -> None:
        import keras

        try:
            self.classes = tuple(json.loads((run / "classes.json").read_text(encoding="utf-8")))
            config = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
            self.image_size, self.resize = int(config["image_size"]), str(config["resize"])
            self.temperature = float(json.loads((run / "metrics.json").read_text(encoding="utf-8"))["temperature"])
            self._model = keras.saving.load_model(run / "model.keras", compile=False, safe_mode=True)
            if self._model.output_shape[-1] != len(self.classes):
                raise ValueError(f"{len(self.classes)} class names, {self._model.output_shape[-1]} outputs")
        except Exception as error:  # Keras raises nearly anything on a damaged file
            raise RunError(f"{run} can't be loaded ({error}). Run the experiment again with --force.") from error

    def predict(self, paths: str | Path | Iterable[str | Path], top: int = TOP) -> list[Prediction]:
        """Predict photos; the order is that of the call, folders sorted and with all that lies below them.

        Args:
            paths: of photos and folders. A photo that is not there or can't be read gets a prediction with `error`.
            top: likeliest classes to give for each photo.

        Raises:
            DataError: a folder holds no photo or can't be read.
        """
        return self._predict(paths, top, self.probabilities)

    def embeddings(self, paths: str | Path | Iterable[str | Path], top: int = TOP) -> Embeddings:
        """Predict photos and keep what the model's head takes in: the pooled features of its backbone.

        Args:
            paths: as for `predict`.
            top: likeliest classes to give for each photo.

        Raises:
            DataError: a folder holds no photo or can't be read.
            RunError: the run is as-is; the backbone's name gives the same features.
        """
        import keras

        pooled = self._pooled()
        both: Any = keras.Model(self._model.input, [self._model.output, pooled])
        vectors = [np.empty((0, pooled.shape[-1]), np.float32)]

        def probabilities(pixels: np.ndarray) -> np.ndarray:
            rows, features = both.predict(pixels, batch_size=BATCH, verbose=0)
            vectors.append(features)
            return calibrate(rows, self.temperature)

        predictions = self._predict(paths, top, probabilities)
        paths_read = tuple(prediction.path for prediction in predictions if prediction.error is None)
        return Embeddings(np.concatenate(vectors), paths_read, tuple(predictions))

    def _pooled(self) -> Any:
        """Give the tensor of feature vectors: what a run's head, or the last layer of a pretrained top, takes in."""
        import keras

        if self.run is None:
            top = [layer for layer in self._model.layers if layer.weights][-1]
            return keras.layers.Flatten()(top.input)
        if "pooling" in {layer.name for layer in self._model.layers}:
            return self._model.get_layer("pooling").output
        raise RunError(f"{self.run} trained no head on feature vectors. Name its backbone in its place.")

    def probabilities(self, pixels: np.ndarray) -> np.ndarray:
        """Predict photos that are decoded and resized.

        Args:
            pixels: uint8 [n, size, size, 3].

        Returns:
            Calibrated ones, float32 [n, classes], in the order of `classes`.
        """
        return calibrate(self.uncalibrated(pixels), self.temperature)

    def uncalibrated(self, pixels: np.ndarray) -> np.ndarray:
        """Give the model's own probabilities, as `probabilities` gives calibrated ones."""
        return self._model.predict(pixels, batch_size=BATCH, verbose=0)

    def pixels(self, data: bytes) -> np.ndarray:
        """Decode and resize a photo's bytes as this model was trained on photos: uint8 [size, size, 3].

        Raises:
            PhotoError: it is no usable photo.
        """
        return resize(decode(data, least_sides(self.image_size, self.resize)), self.image_size, self.resize)

    def _predict(
        self, paths: str | Path | Iterable[str | Path], top: int, probabilities: Callable[[np.ndarray], np.ndarray]
    ) -> list[Prediction]:
        given = [paths] if isinstance(paths, str | Path) else list(paths)
        files = [file for path in given for file in _files(Path(path))]
        predictions = []
        with progress.task("Predicting", len(files)) as advance:
            for start in range(0, len(files), BATCH):
                predictions += self._predict_files(files[start : start + BATCH], top, probabilities)
                advance(len(predictions) - start)
        return predictions

    def _predict_files(
        self, files: Sequence[Path], top: int, probabilities: Callable[[np.ndarray], np.ndarray]
    ) -> list[Prediction]:
        pixels: dict[int, np.ndarray] = {}
        errors: dict[int, str] = {}
        for number, file in enumerate(files):
            try:
                pixels[number] = self.pixels(read_file(file))
            except PhotoError as error:
                errors[number] = str(error)
        rows = iter(probabilities(np.stack(list(pixels.values()))) if pixels else ())
        return [
            Prediction(str(file), (), errors[number]) if number in errors else self._top(file, next(rows), top)
            for number, file in enumerate(files)
        ]

    def _top(self, file: Path, probabilities: np.ndarray, count: int) -> Prediction:
        order = np.argsort(-probabilities, kind="stable")[:count]
        return Prediction(str(file), tuple((self.classes[i], float(probabilities[i])) for i in order))


def load(run: str | Path) -> Predictor:
    """Open a finished run, or a pretrained network as it is, for predictions.

    Args:
        run: a RUN folder, `OUT/experiments/NAME/seed-K`, or a folder above it that holds exactly one; or the name of a
            backbone (`efficientnet_lite0`), which predicts ImageNet's classes.

    Raises:
        RunError: there is no finished run, or its files are damaged.
        BackboneError: the backbone's weights can't be had.
    """
    return Predictor(run)


def read_file(file: Path) -> bytes:
    """Read a file that should be a photo.

    Raises:
        PhotoError: it can't be read, or must not be because it is too large; the message is the reason.
    """
    try:
        first_bytes(file)
        return file.read_bytes()
    except OSError as error:
        raise PhotoError(f"can't be read: {error.strerror or error}") from error


def _files(path: Path) -> list[Path]:
    files = photo_files(path)
    if not files:
        raise DataError(f"{path} holds no photo, nor does any folder below it.")
    return files
