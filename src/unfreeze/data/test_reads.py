"""The record of every time that a series' test photos were looked at."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

FINAL = "final figures of "
"""Begins the reason of the read that gives results their test figures."""

SPLIT = " on split "
"""Stands before the split seed at the end of such a reason, where that is not 0."""

VALIDATION = "validation, to choose the best epoch"
"""The reason where a recipe says `validation: test`."""


@dataclass(frozen=True)
class TestRead:
    """One time that test photos were looked at.

    Attributes:
        time: in UTC.
        why: what for.
        runs: paths of the runs that saw them, from OUT.
        photos: how many.
        weights: hashes of the runs' weights, or nothing.
    """

    __test__ = False  # or pytest takes it for a class of tests

    time: str
    why: str
    runs: tuple[str, ...]
    photos: int
    weights: tuple[str, ...] = ()

    @property
    def split(self) -> str:
        """Which split's photos were read for final figures."""
        return self.why.rpartition(SPLIT)[2] if SPLIT in self.why else "0"

    @property
    def is_final(self) -> bool:
        """Whether it gave results their test figures."""
        return self.why.startswith(FINAL)


def record_test_read(file: Path, why: str, runs: Sequence[str], photos: int, weights: Sequence[str] = ()) -> None:
    """Append one read to `test_reads.jsonl`.

    Args:
        file: the record; made where it isn't there.
        why: what the photos were read for.
        runs: paths of the runs that saw them, from OUT.
        photos: how many.
        weights: hashes of the runs' weights, which tell a read that goes on after it was cut off.
    """
    entry = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "why": why,
        "runs": list(runs),
        "photos": photos,
        **({"weights": list(weights)} if weights else {}),
    }
    with file.open("a", encoding="utf-8") as record:
        record.write(json.dumps(entry, ensure_ascii=False) + "\n")


def read_test_reads(file: Path) -> tuple[TestRead, ...]:
    """Read the record; none where there is no file. A line that can't be read was a read all the same."""
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return ()
    return tuple(map(_parsed, lines))


def _parsed(line: str) -> TestRead:
    try:
        entry = json.loads(line)
        runs, weights = (tuple(map(str, entry.get(key, ()))) for key in ("runs", "weights"))
        return TestRead(str(entry["time"]), str(entry["why"]), runs, int(entry["photos"]), weights)
    except (AttributeError, KeyError, TypeError, ValueError):
        return TestRead("", "unknown: this line of the record is damaged", (), 0)


def misgivings(reads: Sequence[TestRead]) -> list[str]:
    """Say what in the record speaks against the test figures, a sentence each.

    The splits of one call are read in turn, each once, after all of them were trained on. Testing the same weights once
    more, because a call was cut off, tells nothing new.
    """
    said = []
    if any(read.why == VALIDATION for read in reads):
        said.append("The best epochs were chosen on the test photos, so every test figure is too good.")
    later, seen, known = set[str](), set[str](), set[tuple[str, str]]()
    for read in [read for read in reads if read.is_final]:
        weights = read.weights if len(read.weights) == len(read.runs) else [""] * len(read.runs)
        tested = set(zip(read.runs, weights, strict=True))
        later |= {run for run, _ in tested - known} if read.split in seen else set()
        known |= {(run, sha256) for run, sha256 in tested if sha256}
        seen.add(read.split)
    if later:
        runs = "1 run was" if len(later) == 1 else f"{len(later)} runs were"
        said.append(
            f"{runs} tested after the test figures of others were known. If those figures led to what was tried next, "
            "they are too good; new test photos would tell."
        )
    others = sum(read.why != VALIDATION and not read.is_final for read in reads)
    if others:
        times = "once" if others == 1 else f"{others} times"
        said.append(
            f"The test photos were looked at {times} more. If anything was chosen by what was seen there, the test "
            "figures are too good."
        )
    return said
