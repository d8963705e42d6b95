"""The record of reads of the test set: one JSON object a line, nothing ever lost."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from unfreeze.data.test_reads import record_test_read


def test_each_read_is_a_line(tmp_path: Path) -> None:
    file = tmp_path / "test_reads.jsonl"
    record_test_read(file, "final figures of demo", ["experiments/model_0/seed-0", "experiments/größer/seed-0"], 656)
    first = file.read_text(encoding="utf-8")
    record_test_read(file, "unfreeze show", ["experiments/model_0/seed-0"], 6)
    assert file.read_text(encoding="utf-8").startswith(first)
    reads = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert [(read["why"], read["photos"]) for read in reads] == [("final figures of demo", 656), ("unfreeze show", 6)]
    assert reads[0]["runs"] == ["experiments/model_0/seed-0", "experiments/größer/seed-0"]
    for read in reads:
        assert timedelta(0) <= datetime.now(UTC) - datetime.fromisoformat(read["time"]) < timedelta(minutes=1)
