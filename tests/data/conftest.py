"""Small photo data sets, made as files."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def _encode_photo(seed: int, kind: str = "PNG", **options: object) -> bytes:
    """Encode a 40 x 30 photo whose pixels follow from `seed`."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    image = Image.fromarray(coarse).resize((40, 30), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.fixture
def encode_photo() -> Callable[..., bytes]:
    """Encode a small photo: (seed, kind="PNG", **options of Pillow's save)."""
    return _encode_photo


@pytest.fixture
def make_photos(tmp_path: Path) -> Callable[[dict[str, int]], Path]:
    """Make a folder with so many different photos in each of its folders."""

    def make(folders: dict[str, int]) -> Path:
        root = tmp_path / "photos"
        seed = 0
        for folder, count in folders.items():
            (root / folder).mkdir(parents=True)
            for number in range(count):
                (root / folder / f"{number:03}.png").write_bytes(_encode_photo(seed))
                seed += 1
        return root

    return make
