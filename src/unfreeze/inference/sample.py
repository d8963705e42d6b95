"""Photos of nothing, to compare networks on where real ones are not at hand."""

import numpy as np


def sample_pixels(size: int, count: int) -> np.ndarray:
    """Draw noise, every second time in large patches, which networks answer more variously: always the same.

    Returns:
        uint8 [count, size, size, 3].
    """
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (count, size, size, 3), np.uint8)
    patch = -(-size // 8)
    patches = rng.integers(0, 256, (count, 8, 8, 3), np.uint8)
    large = patches.repeat(patch, axis=1).repeat(patch, axis=2)[:, :size, :size]
    pixels[1::2] = large[1::2]
    return pixels
