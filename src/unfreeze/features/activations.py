"""What frozen layers make of photos: computed once a photo and view, kept on disk, shared by all who need it.

A chain of stages leads from pixels to where an experiment's trained layers begin. Each stage is a part of the network
that no training of this experiment changes:

    pixels -> stage 1 -> [7, 7, 192] -> stage 2 -> [1280]
                         fine-tuning of the last block trains on these
                                                   a new head trains on these

A row is found again by all that it depends on: the photo's bytes and view (its key), and the stages with their
weights, the engine, the precision and the way the pixels were made (its folder's name). Nothing can go stale.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unfreeze.ahead.filling import Filling, Stage, rounded
from unfreeze.ahead.process import paused
from unfreeze.backend import thread_count
from unfreeze.data.cache_size import ensure_room, open_store
from unfreeze.data.inputs import Pixels
from unfreeze.data.store import RowStore
from unfreeze.features.engine import Engine, row_shape
from unfreeze.progress import task

CHUNK = 16
"""Photos that one thread takes through all stages at a time; more where an engine runs larger batches."""


@dataclass(frozen=True)
class Forecast:
    """What computing activations will take.

    Attributes:
        from_pixels: photos and views that go through all stages.
        from_disk: those that are on disk, or will be by then.
        bytes: that will be written.
        rows_per_second: of the first stage, as measured on this machine; 0 where it wasn't.
    """

    from_pixels: int
    from_disk: int
    bytes: int
    rows_per_second: float


class Activations:
    """Photos as the last stage of a chain gives them, in the views of `pixels` that are seen.

    Args:
        pixels: photos and views that the chain starts from.
        stages: engines, each running on the rows of the one before.
        keep: for each stage, whether its rows stay on disk; the last stage's always do.
        precision: `float16` or `float32`, of the rows on disk and between stages.
        cache: folder of all caches.
    """

    def __init__(self, pixels: Pixels, stages: Sequence[Engine], keep: Sequence[bool], precision: str, cache: Path):
        self._pixels, self._stages, self._precision, self._cache = pixels, stages, np.dtype(precision), cache
        self._keep = [*keep[:-1], True]
        self._stores: list[RowStore] = []

    def __len__(self) -> int:
        """Count the photos."""
        return len(self._pixels)

    def take(self, indices: np.ndarray, epoch: int = 0) -> np.ndarray:
        """Give these photos' rows as `epoch` (from 0) sees them, [len(indices), ...], in the stored precision."""
        return self._stores[-1].take(self._places[epoch % self._pixels.views][indices])

    def forecast(self, expected: set[str]) -> "Forecast":
        """Say what `compute` would do, computing nothing.

        Args:
            expected: names of rows that will be on disk by then; the rows that `compute` would add are added here.
        """
        self._open()
        from_pixels = from_disk = added = 0
        for view in self._pixels.seen:
            for key in self._pixels.keys(view):
                names = [f"{store.folder.name}/{key}" for store in self._stores]
                there = [key in store or name in expected for store, name in zip(self._stores, names, strict=True)]
                from_pixels += not any(there)
                from_disk += there[-1]
                for store, name, keep, is_there in zip(self._stores, names, self._keep, there, strict=True):
                    if keep and not there[-1] and not is_there:
                        expected.add(name)
                        added += math.prod(store.shape) * store.dtype.itemsize
        rate = self._stages[0].choice.rows_per_second if self._stages[0].choice else 0.0
        return Forecast(from_pixels, from_disk, added, rate)

    def is_independent_of_threads(self) -> bool:
        """Make the engines ready, and say whether their bits are the same with any number of threads."""
        if len(self):
            self._prepare()
        return all(engine.is_independent_of_threads for engine in self._stages)

    def compute(self) -> "Activations":
        """Compute what is not on disk yet; afterwards rows can be taken.

        Raises:
            UnfreezeError: numbers too large for float16, or no room for the rows.
        """
        if self._lacks_rows():
            self._prepare()  # compares with Keras, and may choose another engine than last time
            with paused():
                self._open()
                self._fill()
        self._places = {view: self._stores[-1].locate(self._pixels.keys(view)) for view in self._pixels.seen}
        return self

    def ahead(self) -> Filling | None:
        """Give what another process can compute ahead of `compute`; None where nothing is to be, or only here."""
        if not self._lacks_rows():
            return None
        self._prepare()
        self._open()
        files = [engine.onnx for engine in self._stages if engine.onnx]
        return self._filling(files) if len(files) == len(self._stages) else None

    def _lacks_rows(self) -> bool:
        if len(self) and any(engine.choice is None for engine in self._stages):
            self._prepare()
        self._open()
        return any(True for _ in self._filling().missing())

    def _fill(self) -> None:
        filling = self._filling()
        chunks = list(filling.missing())
        ensure_room(self._cache, filling.bytes(chunks), "What frozen layers make of photos")
        with task("Running frozen layers", sum(len(photos) for _, photos in chunks)) as advance:
            for done in filling.fill(chunks):
                advance(done)

    def _filling(self, stages: Sequence[Stage] = ()) -> Filling:
        choices = [engine.choice for engine in self._stages if engine.choice]
        size = max([CHUNK, *(choice.batch for choice in choices)])
        threads = min([thread_count(), *(choice.workers for choice in choices)])
        return Filling(self._pixels, stages or self._stages, self._stores, self._keep, size, threads)

    def _prepare(self) -> None:
        """Make the engines ready, each on rows that the one before gives."""
        if all(engine.is_prepared for engine in self._stages):
            return
        rows = self._pixels.take(np.arange(min(CHUNK, len(self))))
        for engine in self._stages:
            engine.prepare(rows)
            if engine is not self._stages[-1]:
                rows = rounded(engine.run(rows), self._precision)

    def _open(self) -> None:
        """Open the folder of each stage: it is named by all that its rows depend on beside photo and view."""
        self._stores = []
        recipe: list[str] = [self._pixels.name, self._precision.name]
        for engine in self._stages:
            recipe += [engine.sha256, engine.choice.engine if engine.choice else ""]
            name = hashlib.sha256(" ".join(recipe).encode()).hexdigest()[:32]
            self._stores.append(open_store(self._cache, "activations", name, row_shape(engine.model), self._precision))
