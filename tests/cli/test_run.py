"""`unfreeze run`: its JSON, what stops it before training, and what is left after an interrupt."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from tests.cli.conftest import refused

LONG = """
name: long
data: {image_size: 64, batch_size: 8}
experiments:
  short: {fraction: 0.2, epochs: 1}
  long: {fraction: 0.2, epochs: 100000}
"""


def test_json_is_the_content_of_results(call, recipe, solar_cells, series):
    finished = call("run", recipe, "--data", solar_cells, "--out", series, "--json")
    assert finished.code == 0
    assert finished.json == json.loads((series / "results.json").read_text())
    assert finished.json["schema"] == 1
    assert [each["name"] for each in finished.json["experiments"]] == [f"model_{number}" for number in range(5)]
    assert "model_4, seed 0: already trained\n" in finished.stderr


def test_it_ends_with_a_table_and_what_was_written(call, recipe, solar_cells, series):
    finished = call("run", recipe, "--data", solar_cells, "--out", series, "--quiet")
    assert finished.stderr == ""
    table, _, written = finished.stdout.partition("\n\nWritten to ")
    assert [line.split()[0] for line in table.splitlines()[1:6]] == [f"model_{number}" for number in range(5)]
    files = [line.split()[0] for line in written.splitlines()[1:]]
    assert files == [
        str(series / name)
        for name in ("report.html", "results.json", "pictures", "experiments", "splits.csv", "tensorboard")
    ]


def test_other_settings_are_refused(call, recipe, solar_cells, series):
    overrides = "--set", "experiments.model_1.epochs=3"
    message = refused(call("run", recipe, "--data", solar_cells, "--out", series, *overrides))
    assert "phases.0.epochs: there 2, now 3" in message
    assert message.endswith("Choose another folder with --out, or throw the old run away with --force.")


def test_bad_files_stop_it_before_training(call, recipe, tmp_path, solar_cells):
    cells = tmp_path / "cells"
    for label in ("defective", "functional"):
        (cells / label).mkdir(parents=True)
        for number, file in enumerate(sorted((solar_cells / label).iterdir())[:8]):
            (cells / label / file.name).write_bytes(file.read_bytes() if number else b"")
    message = refused(call("run", recipe, "--data", cells, "--out", tmp_path / "out"))
    assert "2 of 16 files (12.5%) can't be used, more than 5%" in message
    with (tmp_path / "out" / "bad_files.csv").open(newline="") as lines:
        assert [(row["path"].split("/")[0], row["reason"]) for row in csv.DictReader(lines)] == [
            ("defective", "is empty"),
            ("functional", "is empty"),
        ]
    assert not (tmp_path / "out" / "experiments").exists()


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows sends no such signals")
@pytest.mark.parametrize(
    ("number", "code", "what"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_a_signal_keeps_what_is_finished(solar_cells, tmp_path, number, code, what):
    recipe, out = tmp_path / "long.yaml", tmp_path / "out"
    recipe.write_text(LONG)
    command = ["-c", "import sys; from unfreeze.cli import main; sys.exit(main())"]
    arguments = ["run", str(recipe), "--data", str(solar_cells), "--out", str(out)]
    with subprocess.Popen(
        [sys.executable, *command, *arguments, "--debug"], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stderr is not None
        shown = []
        for line in process.stderr:
            shown.append(line)
            if line.startswith("long, seed 0, epoch 2:"):
                break
        started = time.monotonic()
        process.send_signal(number)
        stdout, stderr = process.communicate()
    assert time.monotonic() - started < 2
    assert (process.returncode, stdout) == (code, "")
    assert "short, seed 0, epoch 1: loss " in "".join(shown)
    assert stderr.splitlines()[-1] == (
        f"unfreeze: {what}. Experiments that were finished are kept, and of one in training the epochs up to half a "
        "minute ago; the same call goes on from there."
    )
    assert "Traceback" not in stderr
    assert (out / "experiments" / "short" / "seed-0" / "model.keras").exists()
    assert (out / "experiments" / "short" / "seed-0" / "metrics.json").exists()
    assert not (out / "experiments" / "long" / "seed-0" / "metrics.json").exists()
    assert not (out / "test_reads.jsonl").exists()
