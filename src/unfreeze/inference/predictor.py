"""A finished run or a pretrained network, put to use: photos in, classes with probabilities out."""

import difflib
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from unfreeze import progress
from unfreeze.backend import load_keras, thread_count
from unfreeze.data.photo_files import photo_files
from unfreeze.data.photos import decode, first_bytes, least_sides, resize
from unfreeze.data.threads import in_order
from unfreeze.data.turned import over_views
from unfreeze.errors import DataError, PhotoError, RunError
from unfreeze.evaluation.calibration import calibrate
from unfreeze.inference.description import Description
from unfreeze.inference.embeddings import Embeddings
from unfreeze.inference.finished import damaged, described, finished_run, no_run
from unfreeze.inference.prediction import Prediction, likeliest
from unfreeze.inference.quick_copy import backbone_key, copy_file, make_copy, open_copy, run_key

if TYPE_CHECKING:
    from unfreeze.inference.onnx_network import OnnxNetwork

TOP = 5
BATCH = 32


class Predictor:
    """A trained model with its class names and the way it wants its photos.

    Args:
        run: a RUN folder, `OUT/experiments/NAME/seed-K`, or a folder above it that holds exactly one; or a backbone's
            name, where no folder is called like that, for the pretrained network with ImageNet's classes.
        quick: predict with a copy of the network in ONNX Runtime, made the first time and kept in the cache folder;
            from then on Keras is imported for embeddings alone.

    Attributes:
        classes: names, in the order of the model's outputs.
        image_size: side of the photos that the model takes, in pixels.
        resize: how photos are brought to that size.
        temperature: that calibrates the model's own probabilities.
        test_views: views of a photo that are predicted and averaged; None for the photo alone.
        run: the run's folder; None for a pretrained network as it is.

    Raises:
        RunError: there is no finished run, or its files are damaged.
        BackboneError: the backbone's weights can't be had.
    """

    def __init__(self, run: str | Path, quick: bool = False):
        self._name = str(run)
        self.run = finished_run(run) if Path(run).is_dir() else None
        self._key: str | None = None
        if quick:
            self._key = run_key(self.run) if self.run else backbone_key(self._name)
        self._copy = open_copy(self._key) if self._key else None
        if self._copy:
            self._use(self._copy.description)
        elif self.run:
            self._use(described(self.run))
            self._ensure_whole()
        else:
            self._open_backbone()

    def _use(self, description: Description) -> None:
        self.classes, self.image_size = description.classes, description.image_size
        self.resize, self.temperature = description.resize, description.temperature
        self.test_views = description.test_views

    def _open_backbone(self) -> None:
        load_keras()
        from unfreeze.config import AS_IS_RESIZE
        from unfreeze.models.backbones import backbone_names
        from unfreeze.models.imagenet import imagenet_classes

        if self._name not in backbone_names():
            raise self._not_found(backbone_names())
        titles = tuple(each.title for each in imagenet_classes())
        self._use(Description(titles, self.model.input_shape[1], AS_IS_RESIZE, temperature=1.0))

    def _not_found(self, backbones: Sequence[str]) -> RunError:
        close = [] if Path(self._name).exists() else difflib.get_close_matches(self._name, backbones, n=1)
        return RunError(f"{no_run(self._name)}{f' Or do you mean the backbone {close[0]}?' if close else ''}")

    def _ensure_whole(self) -> None:
        assert self.run
        if (outputs := self.model.output_shape[-1]) != len(self.classes):
            raise damaged(self.run, f"{len(self.classes)} class names, {outputs} outputs")

    @cached_property
    def model(self) -> Any:
        """The Keras model, from pixels in one view to uncalibrated probabilities; loaded when it is first needed."""
        load_keras()
        import keras

        from unfreeze.models.backbones import build_imagenet_classifier

        if self.run is None:
            classifier = build_imagenet_classifier(self._name)
            return keras.Model(classifier.input, keras.layers.Softmax()(classifier.output))
        try:
            return keras.saving.load_model(self.run / "model.keras", compile=False, safe_mode=True)
        except Exception as error:  # Keras raises nearly anything on a damaged file
            raise damaged(self.run, error) from error

    @property
    def description(self) -> Description:
        """All that one must know to use the network."""
        return Description(self.classes, self.image_size, self.resize, self.temperature, self.test_views)

    def predict(self, paths: str | Path | Iterable[str | Path], top: int = TOP) -> list[Prediction]:
        """Predict photos; the order is that of the call, folders sorted and with all that lies below them.

        Args:
            paths: of photos and folders. A photo that is not there or can't be read gets a prediction with `error`.
            top: likeliest classes to give for each photo.

        Raises:
            DataError: a folder holds no photo or can't be read.
        """
        copy = self._quick_copy if self._key else None
        return self._predict(paths, top, partial(self._one_by_one, copy) if copy else self._in_batches)

    def embeddings(self, paths: str | Path | Iterable[str | Path], top: int = TOP) -> Embeddings:
        """Predict photos and keep what the model's head takes in: the pooled features of its backbone.

        Args:
            paths: as for `predict`.
            top: likeliest classes to give for each photo.

        Raises:
            DataError: a folder holds no photo or can't be read.
            RunError: the run is as-is; the backbone's name gives the same features.
        """
        load_keras()
        import keras

        pooled = self._pooled()
        both: Any = keras.Model(self.model.input, [self.model.output, pooled])
        vectors = [np.empty((0, pooled.shape[-1]), np.float32)]

        def probabilities(pixels: np.ndarray) -> np.ndarray:
            rows, features = both.predict(pixels, batch_size=BATCH, verbose=0)
            vectors.append(features)
            return calibrate(self.uncalibrated(pixels) if self.test_views else rows, self.temperature)

        predictions = self._predict(paths, top, partial(self._in_batches, probabilities=probabilities))
        paths_read = tuple(prediction.path for prediction in predictions if prediction.error is None)
        return Embeddings(np.concatenate(vectors), paths_read, tuple(predictions))

    def _pooled(self) -> Any:
        """Give the tensor of feature vectors: what a run's head, or the last layer of a pretrained top, takes in."""
        import keras

        if self.run is None:
            top = [layer for layer in self.model.layers if layer.weights][-1]
            return keras.layers.Flatten()(top.input)
        if "pooling" in {layer.name for layer in self.model.layers}:
            return self.model.get_layer("pooling").output
        raise RunError(f"{self.run} trained no head on feature vectors. Name its backbone in its place.")

    def probabilities(self, pixels: np.ndarray) -> np.ndarray:
        """Predict photos that are decoded and resized.

        Args:
            pixels: uint8 [n, size, size, 3].

        Returns:
            Calibrated ones, float32 [n, classes], in the order of `classes`.
        """
        if self._key and (copy := self._quick_copy):
            return copy.probabilities(pixels)
        return calibrate(self.uncalibrated(pixels), self.temperature)

    @cached_property
    def _quick_copy(self) -> Any:
        assert self._key
        return self._copy or make_copy(self._key, self.model, self.description)

    @property
    def quick_file(self) -> Path | None:
        """The ONNX file that predictions come from, made where it isn't there yet; None where Keras predicts."""
        return copy_file(self._key) if self._key and self._quick_copy else None

    def uncalibrated(self, pixels: np.ndarray) -> np.ndarray:
        """Give the model's own probabilities, as `probabilities` gives calibrated ones."""
        return over_views(lambda view: self.model.predict(view, batch_size=BATCH, verbose=0), pixels, self.test_views)

    def pixels(self, data: bytes) -> np.ndarray:
        """Decode and resize a photo's bytes as this model was trained on photos: uint8 [size, size, 3].

        Raises:
            PhotoError: it is no usable photo.
        """
        return resize(decode(data, least_sides(self.image_size, self.resize)), self.image_size, self.resize)

    def _predict(
        self,
        paths: str | Path | Iterable[str | Path],
        top: int,
        answers: Callable[[Sequence[Path]], Iterator[np.ndarray | str]],
    ) -> list[Prediction]:
        given = [paths] if isinstance(paths, str | Path) else list(paths)
        files = [file for path in given for file in _files(Path(path))]
        predictions = []
        with progress.task("Predicting", len(files)) as advance:
            for file, answer in zip(files, answers(files), strict=True):
                if isinstance(answer, str):
                    predictions.append(Prediction(str(file), (), answer))
                else:
                    predictions.append(Prediction(str(file), likeliest(self.classes, answer, top)))
                advance(1)
        return predictions

    def _one_by_one(self, copy: "OnnxNetwork", files: Sequence[Path]) -> Iterator[np.ndarray | str]:
        """Read and predict each photo in one go, so that no core waits for another."""

        def answer(file: Path) -> np.ndarray | str:
            photo = self._read(file)
            return photo if isinstance(photo, str) else copy.of_one(photo)

        return in_order(answer, files, max(1, min(thread_count(), len(files))))

    def _in_batches(
        self, files: Sequence[Path], probabilities: Callable[[np.ndarray], np.ndarray] | None = None
    ) -> Iterator[np.ndarray | str]:
        """Read and predict as many photos at a time as Keras likes."""
        for start in range(0, len(files), BATCH):
            batch = files[start : start + BATCH]
            read = list(in_order(self._read, batch, min(thread_count(), len(batch))))
            pixels = [photo for photo in read if isinstance(photo, np.ndarray)]
            rows = iter((probabilities or self.probabilities)(np.stack(pixels)) if pixels else ())
            yield from (photo if isinstance(photo, str) else next(rows) for photo in read)

    def _read(self, file: Path) -> np.ndarray | str:
        """Give a photo's pixels, or why there are none."""
        try:
            return self.pixels(read_file(file))
        except PhotoError as error:
            return str(error)


def load(run: str | Path) -> Predictor:
    """Open a finished run, or a pretrained network as it is, for predictions.

    The first prediction leaves a copy of the network in the cache folder, with which everything after it starts in a
    fraction of a second.

    Args:
        run: a RUN folder, `OUT/experiments/NAME/seed-K`, or a folder above it that holds exactly one; or the name of a
            backbone (`efficientnet_lite0`), which predicts ImageNet's classes.

    Raises:
        RunError: there is no finished run, or its files are damaged.
        BackboneError: the backbone's weights can't be had.
    """
    return Predictor(run, quick=True)


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
