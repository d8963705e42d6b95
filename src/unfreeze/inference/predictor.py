"""A finished run, put to use: photos in, classes with probabilities out."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from unfreeze.data.photos import decode, resize
from unfreeze.data.sources import photo_files
from unfreeze.errors import PhotoError, RunError

TOP = 5
BATCH = 32


@dataclass(frozen=True)
class Prediction:
    """What a model says about one photo.

    Attributes:
        path: as it was given.
        top: the likeliest classes with their probabilities, likeliest first; empty where there is an error.
        error: why the photo could not be predicted, or None.
    """

    path: str
    top: tuple[tuple[str, float], ...]
    error: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The prediction as `unfreeze predict --json` prints it."""
        top = [{"class": name, "probability": probability} for name, probability in self.top]
        return {"path": self.path, "top": top, "error": self.error}


class Predictor:
    """A trained model with its class names and the way it wants its photos.

    Args:
        run: a RUN folder, `OUT/experiments/NAME/seed-K`.

    Raises:
        RunError: the folder holds no finished run.
    """

    def __init__(self, run: Path):
        from unfreeze.backend import load_keras

        load_keras()
        import keras

        try:
            self.classes: tuple[str, ...] = tuple(
                json.loads((run / "classes.json").read_text(encoding="utf-8"))
            )
            config = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
            self._size, self._resize = config["image_size"], config["resize"]
            self._model = keras.saving.load_model(run / "model.keras", compile=False, safe_mode=True)
        except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
            raise RunError(
                f"{run} can't be loaded ({error}). Call `unfreeze run` or `train` again."
            ) from error

    def predict(self, paths: str | Path | Iterable[str | Path], top: int = TOP) -> list[Prediction]:
        """Predict photos; the order is that of the call, folders sorted and with all that lies below them.

        Args:
            paths: of photos and folders.
            top: likeliest classes to give for each photo.
        """
        given = [paths] if isinstance(paths, str | Path) else list(paths)
        files = [file for path in given for file in photo_files(Path(path))]
        predictions = []
        for start in range(0, len(files), BATCH):
            predictions += self._predict_files(files[start : start + BATCH], top)
        return predictions

    def probabilities(self, pixels: np.ndarray) -> np.ndarray:
        """Predict photos that are decoded and resized.

        Args:
            pixels: uint8 [n, size, size, 3].

        Returns:
            float32 [n, classes], in the order of `classes`.
        """
        return self._model.predict(pixels, batch_size=BATCH, verbose=0)

    def read(self, file: Path) -> np.ndarray:
        """Decode and resize a photo as this model wants it: uint8 [size, size, 3].

        Raises:
            PhotoError: it is no usable photo.
        """
        try:
            data = file.read_bytes()
        except OSError as error:
            raise PhotoError(f"can't be read: {error.strerror or error}") from error
        return resize(decode(data), self._size, self._resize)

    def _predict_files(self, files: Sequence[Path], top: int) -> list[Prediction]:
        pixels: dict[int, np.ndarray] = {}
        errors: dict[int, str] = {}
        for number, file in enumerate(files):
            try:
                pixels[number] = self.read(file)
            except PhotoError as error:
                errors[number] = str(error)
        rows = iter(self.probabilities(np.stack(list(pixels.values()))) if pixels else ())
        return [
            Prediction(str(file), (), errors[number])
            if number in errors
            else self._top(file, next(rows), top)
            for number, file in enumerate(files)
        ]

    def _top(self, file: Path, probabilities: np.ndarray, count: int) -> Prediction:
        order = np.argsort(-probabilities, kind="stable")[:count]
        return Prediction(str(file), tuple((self.classes[i], float(probabilities[i])) for i in order))
