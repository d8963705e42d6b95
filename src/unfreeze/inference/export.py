"""A finished run as one file that needs nothing of ours, compared with the run's own predictions."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from unfreeze import progress
from unfreeze.errors import RunError
from unfreeze.files import write_atomically
from unfreeze.inference.export_formats import SUFFIXES, ensure_fitting
from unfreeze.inference.known_answers import known_answers
from unfreeze.inference.own_photos import OwnPhotos, own_photos
from unfreeze.inference.predictor import Predictor
from unfreeze.text import error_in_a_line, preformatted

if TYPE_CHECKING:
    from unfreeze.inference.int8_export import Int8Cost

TOLERANCE = 1e-3
"""Largest difference of a probability from the run's own with which an export is kept; rounding makes about 1e-6."""


@dataclass(frozen=True)
class Export:
    """A file that was exported.

    Attributes:
        out: the file.
        largest_difference: between a probability that it gives and the run's own.
        photos: of the run's test set on which that was measured; 0 where they are gone and random pixels were taken.
            For 8 bits: of the validation set.
        int8: what 8 bits cost; None for floating-point numbers.
    """

    out: Path
    largest_difference: float
    photos: int
    int8: "Int8Cost | None" = None

    def to_json(self) -> dict[str, Any]:
        """What `unfreeze export --json` prints."""
        cost = {"int8": asdict(self.int8)} if self.int8 else {}
        return {"out": str(self.out), "largest_difference": self.largest_difference, "photos": self.photos, **cost}

    def __str__(self) -> str:
        """The same in words."""
        if self.int8:
            return (
                f"Written to {self.out}.\n"
                f"Accuracy on {self.photos:,} validation photos: {self.int8.accuracy:.1%} in 8 bits, "
                f"{self.int8.float_accuracy:.1%} in floating point; the same class for {self.int8.same:.1%} of them."
            )
        compared = (
            f"{self.photos:,} of the run's test photos; test_reads.jsonl has this read on record"
            if self.photos
            else "random pixels, because the run's test photos are gone"
        )
        return (
            f"Written to {self.out}.\n"
            f"Largest difference from the run's own probabilities: {self.largest_difference:.1e}, on {compared}."
        )

    def _repr_html_(self) -> str:
        return preformatted(str(self))


def export(run: str | Path, format: str, out: str | Path, int8: bool = False) -> Export:
    """Write a finished run as one file: photo in, calibrated probabilities out, class names inside.

    The file is loaded again by its own runtime and compared with the run's own predictions of up to 100 test photos,
    which goes on record. Where they differ, no file is left.

    Args:
        run: a RUN folder, `OUT/experiments/NAME/seed-K`.
        format: `keras` (only Keras's own layers), `onnx` or `litert` (TensorFlow Lite).
        out: the file, `x.keras`, `x.onnx` or `x.tflite`; it is replaced, folders that are missing are made.
        int8: compute in 8-bit whole numbers, which ONNX alone can here. Probabilities then differ, so the accuracy on
            validation photos is compared in place of them.

    Raises:
        RunError: no such finished run or format, `out` doesn't fit, the network can't be exported, or the file gives
            other probabilities, or in 8 bits loses accuracy.
    """
    out = Path(out)
    ensure_fitting(format, out, int8)
    own = own_photos(run)
    predictor = Predictor(own.run)
    from unfreeze.inference.run_export import RUNTIMES, ensure_litert
    from unfreeze.inference.write_export import WRITERS

    if format == "litert":
        ensure_litert()
    out.parent.mkdir(parents=True, exist_ok=True)
    if int8:
        return _export_int8(own, predictor, out)
    with progress.task(f"Exporting to {format}", 3) as advance, write_atomically(out) as temporary:
        with _failures_explained(f"{own.run} can't be exported to {format}", format):
            WRITERS[format](predictor.model, predictor.description, temporary)
        advance(1)
        answers = known_answers(own, predictor, "unfreeze export")
        advance(1)
        with _failures_explained(f"The {format} file does not run", format):
            difference = _largest_difference(RUNTIMES[format](temporary, answers.pixels), answers.probabilities)
        if not difference <= TOLERANCE:
            raise RunError(
                f"The {format} file's probabilities differ from the run's by up to {difference:.2g}, where "
                f"{TOLERANCE:g} is allowed, so it was deleted. {_remedy(format)}"
            )
        advance(1)
    return Export(out, difference, answers.photos)


def _export_int8(own: OwnPhotos, predictor: Predictor, out: Path) -> Export:
    from unfreeze.inference.int8_export import write_int8

    with (
        progress.task("Exporting to 8 bits", 1),
        write_atomically(out) as temporary,
        _failures_explained(f"{own.run} can't be exported to ONNX in 8 bits", "onnx"),
    ):
        cost, difference = write_int8(own, predictor, temporary)
    return Export(out, difference, cost.photos, cost)


@contextmanager
def _failures_explained(what: str, format: str) -> Iterator[None]:
    try:
        yield
    except (OSError, RunError):
        raise  # a full disk is none of the exporter's failures
    except Exception as error:  # exporters and runtimes fail in too many ways to name
        raise RunError(f"{what} ({error_in_a_line(error, 300)}). {_remedy(format)}") from error


def _largest_difference(given: np.ndarray, wanted: np.ndarray) -> float:
    """Compare probabilities; infinity where they have another shape."""
    if given.shape != wanted.shape:
        return float("inf")
    return float(np.abs(given - wanted).max())


def _remedy(format: str) -> str:
    others = " or ".join(name for name in SUFFIXES if name != format)
    return f"Try the format {others}, or KERAS_BACKEND=tensorflow if Keras runs on another backend."
