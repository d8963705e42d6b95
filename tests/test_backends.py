"""The five models with TensorFlow, JAX and PyTorch, each in an environment without the others; one goes on for another.

`make test-backends` makes the environments. Without them these tests are skipped.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import rows
from tests.ports import free_port
from unfreeze.backend import BACKENDS

ROOT = Path(__file__).parents[1]
PYTHONS = {name: ROOT / f".venv-{name}" / "bin" / "python" for name in ("jax", "torch")} | {
    "tensorflow": Path(sys.executable)
}
NEXT = {"tensorflow": "jax", "jax": "torch", "torch": "tensorflow"}
"""Who goes on with whose runs."""

TUNED = "experiments/model_3/seed-0"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not all(python.exists() for python in PYTHONS.values()), reason="`make test-backends` makes the environments"
    ),
]


class Backends:
    """Runs commands in one environment or another, each with a cache of its own."""

    def __init__(self, folder: Path, recipe: Path, photos: Path):
        self.folder, self.recipe, self.photos = folder, recipe, photos

    def start(self, backend: str, *arguments: object, **variables: str) -> subprocess.Popen[str]:
        environment = (
            os.environ
            | variables
            | {
                "KERAS_BACKEND": backend,
                "UNFREEZE_CACHE": str(self.folder / f"cache-{backend}"),
                "JAX_COMPILATION_CACHE_DIR": str(self.folder / "compiled"),
            }
        )
        command = [PYTHONS[backend], "-c", "import unfreeze.cli; unfreeze.cli.main()", *map(str, arguments)]
        return subprocess.Popen(
            command, env=environment, text=True, encoding="utf-8", stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def call(self, backend: str, *arguments: object, code: int = 0) -> tuple[str, str]:
        """Run a command to its end; gives stdout and stderr."""
        with self.start(backend, *arguments) as process:
            stdout, stderr = process.communicate()
        assert process.returncode == code, stderr
        return stdout, stderr

    def run(self, out: Path) -> tuple[object, ...]:
        return "run", self.recipe, "--data", self.photos, "--out", out

    def out(self, backend: str) -> Path:
        """The series' folder, run if it isn't there."""
        out = self.folder / backend
        if not (out / "report.html").exists():
            self.call(backend, *self.run(out))
        return out


@pytest.fixture(scope="module")
def backends(recipe, solar_cells, tmp_path_factory) -> Backends:
    return Backends(tmp_path_factory.mktemp("backends"), recipe, solar_cells)


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_no_other_backend_is_installed(backend):
    code = (
        f"import importlib.util; print([name for name in {list(BACKENDS.values())} if importlib.util.find_spec(name)])"
    )
    assert subprocess.check_output([PYTHONS[backend], "-c", code], text=True) == f"['{backend}']\n"


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_five_models(backend, backends):
    out = backends.out(backend)
    results = json.loads((out / "results.json").read_text())
    assert [each["name"] for each in results["experiments"]] == [f"model_{number}" for number in range(5)]
    assert all(each["test"]["accuracy"] > 0.4 for each in results["experiments"])
    for number in range(5):
        run = out / "experiments" / f"model_{number}" / "seed-0"
        assert json.loads((run / "lineage.json").read_text())["environment"]["backend"] == backend
        assert (run / "checkpoints" / "best.weights.h5").exists()
        assert len(rows(run / "predictions.csv")) == 20
        assert [*(out / "tensorboard" / f"model_{number}").rglob("events.out.tfevents.*")]


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_an_export_is_made_or_what_is_missing_is_named(backend, backends, tmp_path):
    export = "export", backends.out(backend) / TUNED, "--out"
    assert "Largest difference" in backends.call(backend, *export, tmp_path / "m.keras", "--format", "keras")[0]
    if backend == "jax":
        _, said = backends.call(backend, *export, tmp_path / "m.onnx", "--format", "onnx", code=1)
        assert "can't be exported to onnx" in said
        assert "jax2onnx" in said
    else:
        assert "Largest difference" in backends.call(backend, *export, tmp_path / "m.onnx", "--format", "onnx")[0]


@pytest.mark.parametrize("maker", BACKENDS)
def test_another_backend_predicts_the_same(maker, backends):
    run = backends.out(maker) / TUNED
    own = {row["path"]: row for row in rows(run / "predictions.csv")}
    photos = [backends.photos / path for path in own]
    found = json.loads(backends.call(NEXT[maker], "predict", run, *photos, "--json")[0])
    for path, prediction in zip(own, found, strict=True):
        for top in prediction["top"]:
            assert top["probability"] == pytest.approx(float(own[path][top["class"]]), abs=1e-4)


@pytest.mark.parametrize("maker", BACKENDS)
def test_another_backend_goes_on_with_a_series(maker, backends, tmp_path):
    made, out = backends.out(maker), tmp_path / "out"
    shutil.copytree(made, out)
    for name in ("model_3", "model_4"):
        shutil.rmtree(out / "experiments" / name)
    _, said = backends.call(NEXT[maker], *backends.run(out))
    assert said.count("already trained") == 3
    for name in ("model_3", "model_4"):
        before, after = (
            json.loads((folder / "experiments" / name / "seed-0" / "lineage.json").read_text())
            for folder in (made, out)
        )
        assert (before["environment"]["backend"], after["environment"]["backend"]) == (maker, NEXT[maker])
        assert before["parent"] == after["parent"]
        histories = [rows(folder / "experiments" / name / "seed-0" / "history.csv") for folder in (made, out)]
        for epoch, again in zip(*histories, strict=True):
            assert float(again["val_loss"]) == pytest.approx(float(epoch["val_loss"]), rel=0.01)


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_a_killed_run_ends_as_undisturbed(backend, backends, tmp_path):
    expected, out = backends.out(backend), tmp_path / "out"
    with backends.start(backend, *backends.run(out)) as process:
        assert process.stderr
        for line in process.stderr:
            if line.startswith("model_3, seed 0, epoch 1"):
                process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    backends.call(backend, *backends.run(out))
    for file in ("predictions.csv", "history.csv"):
        assert (out / TUNED / file).read_bytes() == (expected / TUNED / file).read_bytes()


def test_two_devices_learn_what_one_learns(backends, tmp_path):
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    with backends.start("jax", *backends.run(tmp_path / "out"), **flags) as process:
        _, said = process.communicate()
    assert process.returncode == 0, said
    assert_learned_the_same(tmp_path / "out", backends.out("jax"))


def test_two_processes_learn_what_one_learns(backends, tmp_path):
    together = {"KERAS_DISTRIBUTION_JOB_ADDRESSES": f"127.0.0.1:{free_port()}", "KERAS_DISTRIBUTION_NUM_PROCESSES": "2"}
    outs = [tmp_path / number for number in "01"]
    processes = [
        backends.start("jax", *backends.run(out), **together, KERAS_DISTRIBUTION_PROCESS_ID=out.name) for out in outs
    ]
    said = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    for out in outs:
        assert_learned_the_same(out, backends.out("jax"))


def assert_learned_the_same(out: Path, expected: Path) -> None:
    """Compare loss curves; these epochs have 5 to 51 photos in batches of 8, which two devices can't always share."""
    for number in range(5):
        histories = [
            rows(folder / "experiments" / f"model_{number}" / "seed-0" / "history.csv") for folder in (out, expected)
        ]
        assert len(histories[0]) == len(histories[1]) > 0
        for epoch, again in zip(*histories, strict=True):
            for loss in ("loss", "val_loss"):
                assert float(epoch[loss]) == pytest.approx(float(again[loss]), rel=1e-4)
