"""Which photos a finished run was trained, validated and tested on, and the record of reading its test photos."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import yaml

from unfreeze.data.splits import SplitRow, read_splits, splits_name
from unfreeze.data.test_reads import record_test_read
from unfreeze.errors import DataError, RunError
from unfreeze.files import file_sha256
from unfreeze.inference.finished import finished_run
from unfreeze.report.history import parent_run
from unfreeze.seals import damaged

SPLITS = ("train", "val", "test")
"""What a person may ask for."""


def ensure_split(split: str) -> None:
    """Refuse what is no split.

    Raises:
        DataError: naming those that there are.
    """
    if split not in SPLITS:
        raise DataError(f"There is no split {split}; there are {', '.join(SPLITS)}.")


@dataclass(frozen=True)
class OwnPhotos:
    """What the folder of a run's series says of its photos; nothing where its files are missing or damaged.

    Attributes:
        run: the run's folder.
        out: the folder of its series.
        rows: of `splits.csv`.
        source: the data set that the photos are from, or None.
        validated_on_test: whether the test photos chose the best epoch.
    """

    run: Path
    out: Path
    rows: tuple[SplitRow, ...]
    source: str | None
    validated_on_test: bool

    def fitted(self) -> set[str] | None:
        """Give the hashes of the photos that chose the weights: those of training and validation, the parents' too.

        None where they aren't known: parents in other series may have been moved or damaged since.
        """
        if not self.rows:
            return None
        splits = {"train", "val", "test"} if self.validated_on_test else {"train", "val"}
        own, run = {row.sha256 for row in self.rows if row.split in splits}, self.run
        while parent := parent_run(run):
            run = parent.folder
            if not run.is_relative_to(self.out):  # those of the same series have the same splits
                try:
                    before = own_photos(run).fitted()
                except (RunError, DataError):
                    return None
                return None if before is None else own | before
        return own

    def record_read(self, why: str, hashes: Collection[str]) -> int:
        """Record the read of test photos, which any data set may hold copies of.

        Args:
            why: what photos were read for.
            hashes: of the files that were read; those of test photos are looked for.

        Returns:
            How many are test photos.
        """
        test = {row.sha256 for row in self.rows if row.split == "test"}
        seen = sum(sha256 in test for sha256 in hashes)
        if seen:
            record_test_read(self.out / "test_reads.jsonl", why, [self.run.relative_to(self.out).as_posix()], seen)
        return seen


def own_photos(run: str | Path) -> OwnPhotos:
    """Find a finished run and read what is known of its photos.

    Args:
        run: a RUN folder, `OUT/experiments/NAME/seed-K`, or a folder above it that holds exactly one.

    Raises:
        RunError: there is no finished run, or it or its `splits.csv` is damaged.
        DataError: `splits.csv` is no such table.
    """
    run = finished_run(run).resolve()
    out = run.parents[2] if len(run.parents) > 2 else run
    splits, sha256 = _splits(run, out)
    rows = read_splits(splits) if splits.is_file() else ()
    if rows and sha256 not in (None, file_sha256(splits)):
        raise damaged(splits, "its checksum is not that in the run's config.yaml")
    try:
        data = yaml.safe_load((out / "recipe.yaml").read_text(encoding="utf-8"))["data"]
        source, validation = str(data["source"]), data["validation"]
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError):
        source = validation = None
    return OwnPhotos(run, out, rows, source, validation == "test")


def _splits(run: Path, out: Path) -> tuple[Path, str | None]:
    """Give the file with a run's split, and its hash where that is known."""
    try:
        data = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))["data"]
        return out / splits_name(int(data["split_seed"])), str(data["sha256"])
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError):
        return out / splits_name(0), None
