"""How quickly `unfreeze predict` starts, and how close it comes to ONNX Runtime's bare speed, decoding included.

python benchmarks/predict.py RUN PHOTOS [--starts 7] [--repeats 5]
"""

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime

import unfreeze
from unfreeze.backend import thread_count
from unfreeze.inference.predictor import read_file

COMMAND = [sys.executable, "-c", "from unfreeze.cli import main; main()"]
BATCH = 32


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def bare(file: Path, pixels: np.ndarray) -> dict[str, Callable[[], object]]:
    """Give two ways of running a network on ready tensors: batches on all cores, and a photo a core."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = thread_count()
    on_all = onnxruntime.InferenceSession(file, options)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    on_one = onnxruntime.InferenceSession(file, options)
    batches = [pixels[start : start + BATCH] for start in range(0, len(pixels), BATCH)]
    singles = [pixels[start : start + 1] for start in range(len(pixels))]

    def spread() -> None:
        with ThreadPoolExecutor(thread_count()) as pool:
            list(pool.map(lambda photo: on_one.run(None, {"photo": photo}), singles))

    return {
        f"bare, {BATCH} a call": lambda: [on_all.run(None, {"photo": batch}) for batch in batches],
        "bare, one a call and core": spread,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--starts", type=int, default=7)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()

    predictor = unfreeze.load(arguments.run)
    files = [Path(each.path) for each in predictor.predict(arguments.photos)]  # and the copy is made
    file = predictor.quick_file
    assert file is not None, "Keras predicts here"
    pixels = np.stack([predictor.pixels(read_file(each)) for each in files])

    calls = {"unfreeze --help": ["--help"], "one photo": ["predict", str(arguments.run), str(files[0])]}
    took: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(arguments.starts):
        for name, call in calls.items():
            took[name].append(
                seconds(lambda call=call: subprocess.run([*COMMAND, *call], check=True, capture_output=True))
            )
    for name, times in took.items():
        print(f"{name}: median {statistics.median(times):.2f} s ({min(times):.2f} to {max(times):.2f})")

    ways = {"predict": lambda: predictor.predict(files), **bare(file, pixels)}
    speeds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(arguments.repeats):
        for name, way in ways.items():
            speeds[name].append(len(files) / seconds(way))
    for name, each in speeds.items():
        print(f"{name}: median {statistics.median(each):.0f} photos/s ({min(each):.0f} to {max(each):.0f})")
    ratios = [own / max(others) for own, *others in zip(*speeds.values(), strict=True)]
    middle = statistics.median(ratios)
    print(f"predict / the faster bare one: median {middle:.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
