"""Finished runs for tests that leave traces in them."""

import shutil
from pathlib import Path


def copy_run(series: Path, name: str, to: Path) -> Path:
    """Copy one run of a series, with what lies above it but without checkpoints, and give the RUN folder."""
    run = to / "experiments" / name / "seed-0"
    shutil.copytree(series / "experiments" / name / "seed-0", run, ignore=shutil.ignore_patterns("checkpoints"))
    for file in ("recipe.yaml", "splits.csv", "test_reads.jsonl", "results.json"):
        shutil.copy(series / file, to)
    return run
