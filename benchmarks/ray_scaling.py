"""How the prefix pass scales with Ray's workers: the same photos through frozen layers on one, two and more cores.

    python benchmarks/ray_scaling.py --photos 3000 --views 3 --workers 1 2

Each worker is a Ray node of one processor, pinned to a core of its own (Linux); the caller and Ray's own processes
share the cores. What is timed are the tasks that take photos of 224 x 224 through EfficientNet-Lite0 up to its last 10
layers, from handing them out to the last row on disk; photos are decoded and the network is exported before. Workers
take turns, so that a slow spell of the machine hits all of them; printed are seconds (medians) and speed-ups.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import ray.cluster_utils

import unfreeze
from memory import make_photos
from unfreeze.backend import set_threads
from unfreeze.series import on_ray
from unfreeze.series.tasks import Extract, Series, Step

RECIPE = """
name: scaling
data: {{image_size: 224}}
augment: {{flip: horizontal, rotation: 0.2, views: {views}}}
experiments:
  last_10: {{unfreeze: 10, epochs: {views}}}
"""


class DoneError(Exception):
    """Ends a call when its extraction is done; its argument is the seconds."""


class ExtractionOnly(on_ray.Cluster):
    """Does the extraction alone."""

    def run(self, steps: Iterable[Step], series: Series) -> set[str]:
        """Time it, and end the call; exporting the network, which is done once, comes before."""
        extractions = [task for task, _ in steps if isinstance(task, Extract)]
        super().run([(task, []) for task in extractions if task.part == 0], series)
        started = time.perf_counter()
        super().run([(task, []) for task in extractions if task.part], series)
        raise DoneError(time.perf_counter() - started)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--photos", type=int, default=3000)
    arguments.add_argument("--views", type=int, default=3)
    arguments.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    arguments.add_argument("--repeats", type=int, default=3)
    options = arguments.parse_args()

    on_ray.Cluster = ExtractionOnly
    set_threads(1)  # what a node of one processor has
    seconds: dict[int, list[float]] = {workers: [] for workers in options.workers}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_photos(folder / "photos", options.photos)
        (folder / "recipe.yaml").write_text(RECIPE.format(views=options.views))
        for repeat in range(options.repeats):
            for workers in options.workers:
                cache = folder / f"cache-{repeat}-{workers}"
                os.environ["UNFREEZE_CACHE"] = str(cache)
                seconds[workers].append(extraction(folder, workers))
                print(f"{workers} workers: {seconds[workers][-1]:.1f} s", flush=True)
    median = {workers: statistics.median(found) for workers, found in seconds.items()}
    for workers, found in median.items():
        print(f"{workers} workers: {found:.1f} s, {median[options.workers[0]] / found:.2f} times as fast")


def extraction(folder: Path, workers: int) -> float:
    """Start a cluster of so many pinned nodes, and time the extraction on it."""
    cores = sorted(os.sched_getaffinity(0))
    head: dict[str, Any] = {"num_cpus": 0, "include_dashboard": False}
    cluster = ray.cluster_utils.Cluster(initialize_head=True, head_node_args=head)
    try:
        for core in cores[:workers]:
            os.sched_setaffinity(0, {core})  # what a node starts inherits it
            cluster.add_node(num_cpus=1)
        os.sched_setaffinity(0, set(cores))
        unfreeze.run(folder / "recipe.yaml", folder / "photos", folder / f"out-{time.time_ns()}", on=cluster.address)
    except DoneError as done:
        return done.args[0]
    finally:
        os.sched_setaffinity(0, set(cores))
        cluster.shutdown()
    raise AssertionError("unreachable")


if __name__ == "__main__":
    main()
