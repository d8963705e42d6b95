"""Frozen layers in a TensorFlow graph, in Keras's `predict`, and in unfreeze's engine: photos a second, and how equal.

    python benchmarks/engine.py --repeats 5

Runs whole networks without top on photos of ELPV. The three take turns, so that a slow spell of the machine hits all
of them. Written to a JSON file and printed: medians, ratios to the TensorFlow graph, largest differences from it.
TensorFlow's oneDNN kernels are on, as in unfreeze; TF_ENABLE_ONEDNN_OPTS=0 shows it out of the box.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from unfreeze.backend import load_keras

load_keras()

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

from unfreeze.data.photos import decode, resize  # noqa: E402
from unfreeze.data.sources import open_source  # noqa: E402
from unfreeze.data.threads import in_order  # noqa: E402
from unfreeze.features.activations import CHUNK  # noqa: E402
from unfreeze.features.engine import Engine  # noqa: E402
from unfreeze.models.backbones import build_backbone  # noqa: E402
from unfreeze.series.environment import environment  # noqa: E402

BATCH = 32
SIZE = 224
PRETRAINED = ("efficientnet_lite0",)  # the others' weights have to be fetched; speed doesn't depend on them

Side = Callable[[np.ndarray], np.ndarray]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = ["efficientnet_lite0", "efficientnetb0", "efficientnetv2b0"]
    arguments.add_argument("--networks", nargs="+", default=names, metavar="NAME")
    arguments.add_argument("--photos", type=int, default=128, help="run by each side in each repeat")
    arguments.add_argument("--repeats", type=int, default=5)
    arguments.add_argument("--out", type=Path, default=Path("engine.json"))
    options = arguments.parse_args()

    items = open_source("elpv").items[: options.photos]
    photos = np.stack([resize(decode(item.file.read_bytes()), SIZE, "squash") for item in items])
    networks = []
    for name in options.networks:
        with tempfile.TemporaryDirectory() as folder:
            networks.append(measure(name, photos, options.repeats, Path(folder)))
        content = {
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "environment": environment(networks[-1]["choice"]),
            "arguments": {key: str(value) for key, value in vars(options).items()},
            "networks": networks,
        }
        options.out.write_text(json.dumps(content, indent=1))
    report(networks)


def measure(name: str, photos: np.ndarray, repeats: int, folder: Path) -> dict:
    """Time the three sides in turns on the same photos."""
    model = build_backbone(name, SIZE, weights="imagenet" if name in PRETRAINED else None)
    engine = Engine(model, folder)
    started = time.perf_counter()
    engine.prepare(photos[:CHUNK])
    prepare_seconds = time.perf_counter() - started
    assert engine.choice

    sides = {"TensorFlow graph": tensorflow_graph(model), "Keras predict": predict(model), "unfreeze": cached(engine)}
    outputs = {side: run(photos[:BATCH]) for side, run in sides.items()}  # compiles, too
    seconds: dict[str, list[float]] = {side: [] for side in sides}
    for _ in range(repeats):
        for side, run in sides.items():
            started = time.perf_counter()
            run(photos)
            seconds[side].append(time.perf_counter() - started)

    wanted = outputs["TensorFlow graph"]
    median = {side: len(photos) / statistics.median(times) for side, times in seconds.items()}
    return {
        "network": name,
        "choice": engine.choice.engine,
        "batch": engine.choice.batch,
        "workers": engine.choice.workers,
        "prepare_seconds": round(prepare_seconds, 2),
        "sides": {
            side: {
                "images_per_second": round(median[side], 1),
                "repeats": [round(len(photos) / time, 1) for time in times],
                "ratio": round(median[side] / median["TensorFlow graph"], 2),
                "largest_difference": float(np.abs(outputs[side] - wanted).max() / np.abs(wanted).max()),
            }
            for side, times in seconds.items()
        },
    }


def tensorflow_graph(model: keras.Model) -> Side:
    """Run batches through a `tf.function`."""
    forward = tf.function(lambda batch: model(batch, training=False))

    def run(photos: np.ndarray) -> np.ndarray:
        starts = range(0, len(photos), BATCH)
        return np.concatenate([forward(tf.constant(photos[start : start + BATCH])).numpy() for start in starts])

    return run


def predict(model: keras.Model) -> Side:
    """Run Keras's `predict`."""
    return lambda photos: model.predict(photos, batch_size=BATCH, verbose=0)


def cached(engine: Engine) -> Side:
    """Run an engine as the activation cache does: several threads, each with its own photos."""
    assert engine.choice
    size, workers = max(CHUNK, engine.choice.batch), engine.choice.workers

    def run(photos: np.ndarray) -> np.ndarray:
        chunks = [photos[start : start + size] for start in range(0, len(photos), size)]
        return np.concatenate(list(in_order(engine.run, chunks, workers)))

    return run


def report(networks: list[dict]) -> None:
    """Print medians, ratios and differences."""
    print(f"\n{'network':<20} {'engine':<18} {'photos/s':>9} {'ratio':>6} {'largest difference':>19}")
    for network in networks:
        for side, figures in network["sides"].items():
            print(
                f"{network['network']:<20} {side:<18} {figures['images_per_second']:>9.1f} {figures['ratio']:>6.2f} "
                f"{figures['largest_difference']:>19.1e}"
            )
        print(
            f"{'':<20} {network['choice']}, {network['batch']} photos a call, {network['workers']} calls at a time, "
            f"ready after {network['prepare_seconds']:.1f} s"
        )


if __name__ == "__main__":
    main()
