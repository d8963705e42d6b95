"""A run as an ONNX file that computes in 8-bit whole numbers: a quarter of the size, at a price that is measured."""

import json
import logging
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from unfreeze.errors import RunError
from unfreeze.inference.own_photos import OwnPhotos
from unfreeze.inference.predictor import Predictor
from unfreeze.inference.run_export import run_onnx
from unfreeze.inference.split_pixels import SplitPixels, split_pixels
from unfreeze.inference.write_export import PHOTOS, write_onnx

METADATA = "unfreeze_int8"
"""Where the file says what it cost, in its metadata."""

CALIBRATED_ON, MEASURED_ON = 100, 500
"""Training photos from which ranges of values are taken, and validation photos for the accuracy, at most."""

LEAST_MEASURED = 10
"""Validation photos without which no accuracy can be spoken of."""

LOSS_ALLOWED = 0.03
"""Of accuracy on the validation photos; where more is lost, and more than one photo, no file is left."""

_QUANTIZED = ["Conv", "Clip", "Relu", "MatMul", "Gemm", "Add", "GlobalAveragePool"]
"""What is worth computing in 8 bits; softmax and calibration stay as they are."""

_WEIGHTS = QuantType.QUInt8
"""Products of unsigned and signed bytes overflow on Intel's and AMD's processors without VNNI: that cost 7 points."""


@dataclass(frozen=True)
class Int8Cost:
    """What 8 bits cost.

    Attributes:
        accuracy: of the file, on validation photos.
        float_accuracy: of the run itself, on the same ones.
        same: share of them that both take for the same class.
        photos: how many they are.
        calibration_photos: training photos from which ranges of values were taken.
    """

    accuracy: float
    float_accuracy: float
    same: float
    photos: int
    calibration_photos: int


def write_int8(own: OwnPhotos, predictor: Predictor, file: Path) -> tuple[Int8Cost, float]:
    """Write an ONNX file in 8 bits, run it again, and measure what it cost.

    Activations and weights are quantized beforehand (per channel for weights), by the smallest and largest values on
    training photos (https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html).

    Args:
        own: what is known of the run's photos.
        predictor: of the run.
        file: to make or replace.

    Returns:
        The cost, and the largest difference of a probability from the run's own.

    Raises:
        RunError: there are too few photos, or too much accuracy is lost.
    """
    training = split_pixels(own, predictor, "train", CALIBRATED_ON, "unfreeze export --int8")
    validation = split_pixels(own, predictor, "val", MEASURED_ON, "unfreeze export --int8")
    if len(validation.labels) < LEAST_MEASURED or not len(training.labels):
        raise RunError(
            f"8 bits are set by training photos and measured on validation photos; of these {len(training.labels)} and "
            f"{len(validation.labels)} can be read, where 1 and {LEAST_MEASURED} are needed. Bring the run's photos "
            "back, or export without --int8."
        )
    with tempfile.TemporaryDirectory(dir=file.parent) as folder:
        whole = Path(folder) / "float.onnx"
        write_onnx(predictor.model, predictor.description, whole)
        _quantize(whole, training.pixels, file)
    given, own_rows = run_onnx(file, validation.pixels), predictor.probabilities(validation.pixels)
    cost = _cost(given, own_rows, validation, len(training.labels))
    lost = cost.float_accuracy - cost.accuracy
    if lost > LOSS_ALLOWED and round(lost * cost.photos) > 1:
        raise RunError(
            f"In 8 bits the accuracy on {cost.photos:,} validation photos falls from {cost.float_accuracy:.1%} to "
            f"{cost.accuracy:.1%}; {100 * LOSS_ALLOWED:g} points are allowed, so the file was deleted. Some networks "
            "are not made for 8 bits (efficientnet_lite0 to 2 are); export this one without --int8."
        )
    _note(file, cost)
    return cost, float(np.abs(given - own_rows).max())


class _Photos(CalibrationDataReader):
    """Photos, one after the other, as ONNX Runtime's calibration asks for them."""

    def __init__(self, pixels: np.ndarray):
        self._photos: Iterator[np.ndarray] = iter(pixels)

    def get_next(self) -> Any:
        photo = next(self._photos, None)
        return None if photo is None else {PHOTOS: photo[None]}


def _quantize(whole: Path, pixels: np.ndarray, file: Path) -> None:
    prepared = whole.with_name("prepared.onnx")
    logging.getLogger().addFilter(_is_no_advice)
    try:
        quant_pre_process(whole, prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared, file, _Photos(pixels), quant_format=QuantFormat.QDQ, per_channel=True,
            activation_type=QuantType.QUInt8, weight_type=_WEIGHTS, op_types_to_quantize=_QUANTIZED,
            nodes_to_exclude=_behind_dense(onnx.load(prepared).graph),
        )  # fmt: skip
    finally:
        logging.getLogger().removeFilter(_is_no_advice)
    _carry_metadata(whole, file)


def _is_no_advice(record: logging.LogRecord) -> bool:
    """Pass over what ONNX Runtime advises: the step it names was just done, and what 8 bits cost is measured after."""
    return not any(words in record.getMessage() for words in ("pre-process", "bias scale"))


def _behind_dense(graph: onnx.GraphProto) -> list[str]:
    """Name what follows the last matrix product: softmax and calibration, where 8 bits would spoil probabilities."""
    last = max((i for i, node in enumerate(graph.node) if node.op_type in ("MatMul", "Gemm")), default=len(graph.node))
    return [node.name for node in graph.node[last + 1 :]]


def _carry_metadata(source: Path, target: Path) -> None:
    given, content = onnx.load(source), onnx.load(target)
    onnx.helper.set_model_props(content, {each.key: each.value for each in given.metadata_props})
    onnx.save(content, target)


def _note(file: Path, cost: Int8Cost) -> None:
    content = onnx.load(file)
    kept = {each.key: each.value for each in content.metadata_props}
    onnx.helper.set_model_props(content, {**kept, METADATA: json.dumps(asdict(cost))})
    onnx.save(content, file)


def _cost(given: np.ndarray, own: np.ndarray, photos: SplitPixels, calibrated_on: int) -> Int8Cost:
    answers: Sequence[np.ndarray] = (given.argmax(1), own.argmax(1))
    return Int8Cost(
        accuracy=float((answers[0] == photos.labels).mean()),
        float_accuracy=float((answers[1] == photos.labels).mean()),
        same=float((answers[0] == answers[1]).mean()),
        photos=len(photos.labels),
        calibration_photos=calibrated_on,
    )
