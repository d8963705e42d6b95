"""A whole network in ONNX Runtime: photos in, calibrated probabilities out, without Keras."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from unfreeze.backend import thread_count
from unfreeze.data.threads import in_order
from unfreeze.inference.description import ONNX_KEY, Description
from unfreeze.onnx_session import open_session


class OnnxNetwork:
    """An exported ONNX file, ready to run.

    Args:
        file: as `write_onnx` writes it.

    Attributes:
        description: what the file says of itself.

    Raises:
        Exception: it is no such file; ONNX Runtime has no common class for its errors.
    """

    def __init__(self, file: Path):
        self._session = open_session(file)
        self._input = self._session.get_inputs()[0].name
        self.description = Description.from_json(self._session.get_modelmeta().custom_metadata_map[ONNX_KEY])

    def probabilities(self, pixels: np.ndarray) -> np.ndarray:
        """Predict photos, one a call, so that no photo's figures depend on those beside it.

        Args:
            pixels: uint8 [n, size, size, 3], n at least 1.

        Returns:
            Calibrated ones, float32 [n, classes].
        """
        photos: Sequence[np.ndarray] = list(pixels)
        return np.stack(list(in_order(self.of_one, photos, min(thread_count(), len(photos)))))

    def of_one(self, photo: np.ndarray) -> np.ndarray:
        """Predict a photo, uint8 [size, size, 3], on one core: float32 [classes]."""
        [rows] = self._session.run(None, {self._input: photo[None]})
        return np.asarray(rows)[0]
