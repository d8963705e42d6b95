"""A made-up series folder for every test that wants one."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from made_series import Made, write_run

from unfreeze.report.results import Results, load_results
from unfreeze.seals import write_sealed


@pytest.fixture
def make_series(tmp_path: Path) -> Callable[..., Results]:
    """Write a finished series' folder and read it back."""

    def make(
        *runs: Made,
        classes: Sequence[str] = ("cat", "dog"),
        n: int = 10,
        validation: Any = 0.15,
        val: int = 112,
        carved: bool = False,
    ) -> Results:
        entries = [write_run(tmp_path, run, classes, n) for run in runs]
        dataset = {"name": "pets", "classes": list(classes), "train": 6375, "val": val, "test": n, "bad": 0}
        results = {
            "schema": 1,
            "dataset": {**dataset, "sha256": "ab" * 32, "validation": validation, "test_is_carved": carved},
            "environment": {"unfreeze": "0.1.0"},
            "experiments": entries,
            "seconds": {"total": 100.0},
        }
        write_sealed(tmp_path / "results.json", results)
        return load_results(tmp_path)

    return make
