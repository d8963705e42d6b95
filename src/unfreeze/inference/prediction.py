"""What a model says about a photo."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


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

    def __str__(self) -> str:
        """The prediction in one line."""
        top = ", ".join(f"{name} {probability:.1%}" for name, probability in self.top)
        return f"{self.path}: {self.error or top}"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # a notebook's way to show what stands in a list
        printer.text(str(self))


def likeliest(classes: Sequence[str], probabilities: np.ndarray, count: int) -> tuple[tuple[str, float], ...]:
    """Give the likeliest classes with their probabilities, likeliest first; of equal ones the first class.

    Args:
        classes: names.
        probabilities: of one photo, [classes].
        count: classes to give, at most.
    """
    order = np.argsort(-probabilities, kind="stable")[:count]
    return tuple((classes[int(i)], float(probabilities[i])) for i in order)
