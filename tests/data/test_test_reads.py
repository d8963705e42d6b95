"""The record of reads of the test set: one JSON object a line, nothing ever lost."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from unfreeze.data.test_reads import (
    FINAL,
    SPLIT,
    VALIDATION,
    TestRead,
    misgivings,
    read_test_reads,
    record_test_read,
)


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


def test_what_was_recorded_is_read_back(tmp_path: Path) -> None:
    file = tmp_path / "test_reads.jsonl"
    assert read_test_reads(file) == ()
    record_test_read(file, f"{FINAL}demo", ["experiments/größer/seed-0"], 656)
    (read,) = read_test_reads(file)
    assert (read.why, read.runs, read.photos) == ("final figures of demo", ("experiments/größer/seed-0",), 656)
    assert read.is_final


def test_a_damaged_line_was_a_read_all_the_same(tmp_path: Path) -> None:
    file = tmp_path / "test_reads.jsonl"
    record_test_read(file, "unfreeze show", ["a"], 6)
    file.write_text(file.read_text() + '{"time": "2026-01\n[]\n')
    assert [read.photos for read in read_test_reads(file)] == [6, 0, 0]


def test_one_final_read_speaks_against_nothing() -> None:
    final = TestRead("", f"{FINAL}demo", ("a", "b"), 10)
    assert misgivings([]) == misgivings([final]) == []


def test_what_speaks_against_the_figures() -> None:
    final = TestRead("", f"{FINAL}demo", ("a", "b"), 10)
    later = TestRead("", f"{FINAL}demo", ("b", "c"), 10)
    other_split = TestRead("", f"{FINAL}demo{SPLIT}3", ("d", "e"), 10)
    assert misgivings([final, other_split]) == []
    assert misgivings([final, other_split, other_split])[0].startswith("2 runs were tested after")
    shown = TestRead("", "unfreeze show", ("a",), 1)
    (said,) = misgivings([final, later])
    assert said.startswith("2 runs were tested after the test figures of others were known.")
    (said,) = misgivings([final, shown, shown])
    assert said.startswith("The test photos were looked at 2 times more.")
    (said,) = misgivings([TestRead("", VALIDATION, ("a",), 10), final])
    assert said.startswith("The best epochs were chosen on the test photos")
