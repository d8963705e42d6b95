"""Photos of a run's data set for the web page: page by page, at random, and the worst mistakes."""

import hashlib
import random
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from unfreeze.data.splits import SplitRow
from unfreeze.errors import DataError, PhotoError, RunError
from unfreeze.evaluation.predictions import read_predictions
from unfreeze.inference.own_photos import SPLITS
from unfreeze.inference.predictor import read_file
from unfreeze.inference.served_run import Look, ServedRun
from unfreeze.inference.show import Candidate, own_candidates
from unfreeze.report.mistakes import most_confident_mistakes

PAGE = 6
"""Photos at a time."""

WHY = "unfreeze serve"


@dataclass(frozen=True, eq=False)
class Judgement:
    """A photo of the data set with what a model says of it.

    Attributes:
        path: from the data's root.
        label: true class.
        look: what the model says; None where the photo can't be used.
        error: why it can't.
    """

    path: str
    label: str
    look: Look | None
    error: str = ""

    @property
    def is_right(self) -> bool:
        """Whether the likeliest class is the true one."""
        return self.look is not None and self.look.top[0][0] == self.label


@dataclass(frozen=True, eq=False)
class Shelf:
    """Photos that a person looks through.

    Attributes:
        photos: those shown now.
        page: its number, from 0.
        total: photos that there are in all.
    """

    photos: tuple[Judgement, ...]
    page: int
    total: int


class PhotoShelf:
    """The photos of the data set that a run was trained and tested on. Test photos that are shown go on record.

    Args:
        run: on the page.
    """

    def __init__(self, run: ServedRun):
        self._run = run
        self._recorded: set[str] = set()
        self._lock = threading.Lock()

    @cached_property
    def _everything(self) -> list[Candidate]:
        if not self._run.own.rows or self._run.own.source is None:
            raise RunError(
                f"The folder of {self._run.name} does not say which photos it was trained on: its recipe.yaml or "
                "splits.csv is missing or damaged."
            )
        return own_candidates(self._run.own)

    def splits(self) -> list[str]:
        """Give the splits that have photos."""
        return [split for split in SPLITS if self._rows(split)]

    def classes(self, split: str) -> list[str]:
        """Give the classes that have photos in a split, sorted."""
        return sorted({row.label for row in self._rows(split)})

    def _rows(self, split: str) -> list[SplitRow]:
        """Give what the run says of a split's photos, which need not be at hand."""
        own = self._run.own
        wanted = "test" if split == "val" and own.validated_on_test else split
        return [row for row in own.rows if row.split == wanted]

    def page(self, split: str, label: str | None, number: int) -> Shelf:
        """Give a page of a split's photos, in the order of `splits.csv`.

        Args:
            split: `train`, `val` or `test`.
            label: photos of this class alone, or None.
            number: of the page, from 0; beyond the last one, the last.

        Raises:
            RunError: the run does not say which photos it was trained on.
            DataError: there is no such photo.
        """
        return self._shown(self._of(split, label), number)

    def random(self, split: str, label: str | None) -> Shelf:
        """Give some photos at random; arguments as in `page`."""
        found = self._of(split, label)
        drawn = random.sample(found, min(PAGE, len(found)))
        return Shelf(tuple(map(self._judge, drawn)), 0, len(found))

    def mistakes(self, number: int) -> Shelf:
        """Give a page of the test photos that the run took for another class, the surest mistakes first.

        Raises:
            RunError: the run has not read its test photos, or does not say where they are.
        """
        file = self._run.own.run / "predictions.csv"
        if not file.is_file():
            raise RunError(f"{self._run.name} has no predictions of test photos.")
        predictions = read_predictions(file)
        files = {candidate.path: candidate for candidate in self._everything}
        wrong = most_confident_mistakes(predictions, len(predictions.labels))
        return self._shown([files[judged.path] for judged in wrong if judged.path in files], number)

    def _of(self, split: str, label: str | None) -> list[Candidate]:
        found = [each for each in self._everything if each.split == split and label in (None, each.label)]
        if not found:
            raise DataError(f"There is no photo of this class in {split}.")
        return found

    def _shown(self, found: Sequence[Candidate], number: int) -> Shelf:
        number = max(0, min(number, (len(found) - 1) // PAGE))
        there = found[number * PAGE : (number + 1) * PAGE]
        return Shelf(tuple(map(self._judge, there)), number, len(found))

    def _judge(self, candidate: Candidate) -> Judgement:
        try:
            data = read_file(candidate.file)
            look = self._run.look(data)
        except PhotoError as error:
            return Judgement(candidate.path, candidate.label, None, str(error))
        self._record(hashlib.sha256(data).hexdigest())
        return Judgement(candidate.path, candidate.label, look)

    def _record(self, sha256: str) -> None:
        """Put a photo on record if it is a test photo, once while the page is served."""
        with self._lock:
            if sha256 not in self._recorded:
                self._recorded.add(sha256)
                self._run.own.record_read(WHY, [sha256])
