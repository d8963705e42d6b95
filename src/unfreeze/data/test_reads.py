"""The record of every time that a series' test photos were looked at."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path


def record_test_read(file: Path, why: str, runs: Sequence[str], photos: int) -> None:
    """Append one read to `test_reads.jsonl`.

    Args:
        file: the record; made where it isn't there.
        why: what the photos were read for.
        runs: paths of the runs that saw them, from OUT.
        photos: how many.
    """
    entry = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "why": why,
        "runs": list(runs),
        "photos": photos,
    }
    with file.open("a", encoding="utf-8") as record:
        record.write(json.dumps(entry, ensure_ascii=False) + "\n")
