"""Finding a finished run from what a person typed."""

from pathlib import Path

import pytest

from unfreeze.errors import RunError
from unfreeze.inference.finished import finished_run
from unfreeze.seals import write_sealed


def make_runs(out: Path, *names: str) -> list[Path]:
    runs = [out / "experiments" / name for name in names]
    for run in runs:
        run.mkdir(parents=True)
        write_sealed(run / "metrics.json", {"files": {}})
    return runs


def test_a_run_and_a_folder_with_one_run(tmp_path):
    (run,) = make_runs(tmp_path, "model/seed-0")
    assert finished_run(run) == run
    assert finished_run(str(tmp_path)) == run
    (tmp_path / "experiments" / "other" / "seed-0").mkdir(parents=True)  # not finished
    assert finished_run(tmp_path / "experiments") == run


def test_several_runs_are_listed(tmp_path):
    runs = make_runs(tmp_path, "b/seed-0", "a/seed-0", "a/seed-1")
    with pytest.raises(RunError) as error:
        finished_run(tmp_path)
    assert str(error.value) == (f"{tmp_path} holds 3 runs; name one of them:\n  {runs[1]}\n  {runs[2]}\n  {runs[0]}")


def test_many_runs_are_counted(tmp_path):
    make_runs(tmp_path, *(f"model_{number:02}/seed-0" for number in range(13)))
    with pytest.raises(RunError, match=r"holds 13 runs; (.|\n)*model_09/seed-0\n  and 3 more$"):
        finished_run(tmp_path)


def test_nothing_finished(tmp_path):
    with pytest.raises(RunError) as error:
        finished_run(tmp_path / "nowhere")
    assert str(error.value) == (
        f"There is no run {tmp_path / 'nowhere'}. A run is a folder like runs/demo/experiments/model_2/seed-0."
    )
    with pytest.raises(RunError) as error:
        finished_run(tmp_path)
    assert str(error.value) == (f"{tmp_path} holds no finished run. Call `unfreeze run` or `train` again to finish it.")
