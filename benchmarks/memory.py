"""Peak resident memory of `unfreeze run` on few and on many photos: it should not grow with them.

    python benchmarks/memory.py 5000 50000

Makes as many photos of two classes for each number, trains a head on all of them and then the last 10 layers, one
epoch each, and prints what the process took at its peak. Exporting the frozen layers takes about 1 GB for a moment,
however many photos there are; a first run on few photos does that, so that it hides nothing in the others.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import simplejpeg

UNFREEZE = Path(sys.executable).parent / "unfreeze"
SIDE, COARSE = 300, 10
WARM_UP = 100

RECIPE = """
name: memory
data: {image_size: 96}
epochs: 1
experiments:
  head: {}
  last_10: {from: head, unfreeze: 10}
"""


@dataclass(frozen=True)
class Measurement:
    """What a run on so many photos took: bytes at the peak, seconds."""

    photos: int
    peak: int
    seconds: float


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("photos", type=int, nargs="*", default=[5_000, 50_000], help="numbers of photos, few first")
    arguments.add_argument(
        "--set", dest="overrides", action="append", default=[], metavar="K=V", help="as `unfreeze run`"
    )
    options = arguments.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder, "cache")
        found = [run(count, cache, options.overrides) for count in (WARM_UP, *options.photos)][1:]
    more, photos = found[-1].peak - found[0].peak, found[-1].photos - found[0].photos
    if photos:
        print(f"{photos:,} more photos take {more / 1e6:+,.0f} MB, {more / photos:,.0f} bytes a photo")


def run(count: int, cache: Path, overrides: list[str]) -> Measurement:
    """Make photos, run the series on them, and print what it took."""
    with tempfile.TemporaryDirectory() as folder:
        make_photos(Path(folder, "photos"), count)
        found = measure(Path(folder), count, cache, overrides)
    print(
        f"{count:>7,} photos: peak {found.peak / 1e6:,.0f} MB, {found.seconds:,.0f} s, "
        f"{found.seconds / count * 1e3:,.2f} ms a photo",
        flush=True,
    )
    return found


def make_photos(root: Path, count: int) -> None:
    """Make JPEGs of coarse noise, every one different; those of the second class are brighter."""
    rng = np.random.default_rng(count)  # no two data sets share photos
    slope = np.linspace(0, 60, SIDE, dtype=np.float32)[:, None, None]
    for label in ("dark", "bright"):
        (root / label).mkdir(parents=True)
    for number in range(count):
        noise = rng.uniform(0, 120, (COARSE, COARSE, 3)).astype(np.float32)
        pixels = noise.repeat(SIDE // COARSE, axis=0).repeat(SIDE // COARSE, axis=1) + slope + 60 * (number % 2)
        jpeg = simplejpeg.encode_jpeg(pixels.astype(np.uint8), quality=80)
        (root / ("dark", "bright")[number % 2] / f"{number:06}.jpg").write_bytes(jpeg)


def measure(folder: Path, count: int, cache: Path, overrides: list[str]) -> Measurement:
    """Run the series as a process of its own."""
    (folder / "recipe.yaml").write_text(RECIPE)
    command = [UNFREEZE, "run", folder / "recipe.yaml", "--data", folder / "photos", "--out", folder / "out", "--quiet"]
    for override in overrides:
        command += ["--set", override]
    environment = {**os.environ, "UNFREEZE_CACHE": str(cache), "TF_CPP_MIN_LOG_LEVEL": "3"}
    started = time.perf_counter()
    process = subprocess.Popen([str(part) for part in command], env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"unfreeze run ended with {process.returncode}")
    return Measurement(count, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024), seconds)


if __name__ == "__main__":
    main()
