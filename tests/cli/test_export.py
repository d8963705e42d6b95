"""`unfreeze export`: the answer in words and as JSON, and calls that can't be meant."""

from pathlib import Path

import pytest

import unfreeze
from tests.cli.conftest import refused
from unfreeze.inference.export import Export


@pytest.fixture
def calls(monkeypatch):
    """Export nothing, and note what was asked for."""
    asked = []

    def export(run: Path, format: str, out: Path, int8: bool) -> Export:
        asked.append((run, format, out, int8))
        return Export(out, 2.5e-6, 20)

    monkeypatch.setattr(unfreeze, "export", export, raising=False)
    return asked


def test_json_and_text(call, calls):
    finished = call("export", "run", "--format", "onnx", "--out", "x.onnx", "--json")
    assert finished.code == 0
    assert finished.json == {"out": "x.onnx", "largest_difference": 2.5e-6, "photos": 20}
    finished = call("export", "run", "--format", "litert", "--out", "x.tflite")
    assert (finished.code, finished.stdout) == (0, f"{Export(Path('x.tflite'), 2.5e-6, 20)}\n")
    call("export", "run", "--format", "onnx", "--out", "x.onnx", "--int8")
    assert calls == [
        (Path("run"), "onnx", Path("x.onnx"), False),
        (Path("run"), "litert", Path("x.tflite"), False),
        (Path("run"), "onnx", Path("x.onnx"), True),
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--format", "h5", "--out", "x.h5"], "There is no format h5; there are keras, onnx, litert."),
        (["--format", "litert", "--out", "x.lite"], "names end with .tflite: give x.tflite."),
        (["--format", "keras", "--out", "."], ". is a folder, not a file to write: give model.keras"),
        (["--format", "litert", "--out", "x.tflite", "--int8"], "Only onnx is written in 8 bits, not litert"),
        (["--format", "keras"], "Missing option '--out'"),
    ],
)
def test_a_wrong_command_line_exits_with_2(call, calls, arguments, message):
    finished = call("export", "run", *arguments)
    assert (finished.code, finished.stdout, calls) == (2, "", [])
    assert message in " ".join(finished.stderr.split())


def test_no_run(call, tmp_path):
    said = refused(call("export", tmp_path / "nowhere", "--format", "keras", "--out", tmp_path / "new" / "x.keras"))
    assert said.startswith(f"There is no run {tmp_path / 'nowhere'}.")
    assert not (tmp_path / "new").exists()
