"""Two models on the same photos: how much better one is, and how far chance may have moved that."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Verdict = Literal["better", "worse", "within noise"]


@dataclass(frozen=True)
class Difference:
    """How one model's accuracy differs from another's on the same photos.

    Attributes:
        mean: accuracy of the first less that of the second, -1 to 1.
        ci95: 95% interval of it over the choice of photos.
    """

    mean: float
    ci95: tuple[float, float]

    @property
    def verdict(self) -> Verdict:
        """The first model against the second: `within noise` where the interval holds zero."""
        low, high = self.ci95
        return "better" if low > 0 else "worse" if high < 0 else "within noise"


def paired_difference(first: NDArray[np.floating], second: NDArray[np.floating]) -> Difference:
    """Compare two models photo by photo.

    The interval is that of a mean of paired differences (M. Bland, "An Introduction to Medical Statistics", section
    on paired proportions): mean +- 1.96 standard errors, which holds for a hundred photos and more. As both models saw
    the same photos, it is much narrower than what their own intervals suggest.

    Args:
        first: how often each photo was predicted right, [n], 0 or 1, or shares over several seeds.
        second: the same for the other model.

    Raises:
        ValueError: fewer than two photos, or not as many in both.
    """
    if first.shape != second.shape or first.ndim != 1 or len(first) < 2:
        raise ValueError(
            f"paired_difference needs two arrays [n] of at least two photos, not {first.shape} and {second.shape}."
        )
    differences = first.astype(np.float64) - second.astype(np.float64)
    # statsmodels takes almost a second to import
    from statsmodels.stats.weightstats import zconfint

    low, high = zconfint(differences, alpha=0.05)
    return Difference(float(differences.mean()), (float(low), float(high)))
