"""What a recipe makes of labels: smoothed ones, and weights of the photos in the loss."""

import numpy as np


def smoothed(rows: np.ndarray, share: float) -> np.ndarray:
    """Spread a share of each label evenly over all classes (C. Szegedy et al., arXiv 1512.00567, section 7).

    Args:
        rows: one-hot, float32 [photos, classes].
        share: from 0 to 1.
    """
    return (rows * (1 - share) + share / rows.shape[1]).astype(np.float32)


def balanced_weights(numbers: np.ndarray) -> np.ndarray:
    """Weigh photos so that each class counts the same, and a photo 1 on average.

    Args:
        numbers: of the photos' classes, int [photos].

    Returns:
        float32 [photos]: photos / (classes * photos of the class), as scikit-learn's `balanced`; of classes that have
        any photo.
    """
    counts = np.bincount(numbers)
    return (len(numbers) / (np.count_nonzero(counts) * counts[numbers])).astype(np.float32)
