"""The examples of docs/export.md read exported files with nothing of ours, as they stand there."""

import re
from pathlib import Path

import keras
import pytest
from PIL import Image

import unfreeze
from unfreeze.inference.export_formats import SUFFIXES

PAGE = (Path(__file__).parents[2] / "docs" / "export.md").read_text(encoding="utf-8")
EXAMPLES = dict(re.findall(r"^## (keras|onnx|litert)\n.*?^```python\n(.*?)^```", PAGE, re.S | re.M))
HERE = [name for name in SUFFIXES if name == "keras" or keras.backend.backend() == "tensorflow"]


@pytest.mark.parametrize("format", HERE)
def test_the_example_prints_the_runs_own_answer(tiny_run, tmp_path, monkeypatch, capsys, format):
    monkeypatch.chdir(tmp_path)
    unfreeze.export(tiny_run.path, format, f"model{SUFFIXES[format]}")
    Image.fromarray(tiny_run.pixels[4]).save("photo.png")
    Path("photo.png").rename("photo.jpg")  # without a JPEG's loss; Pillow goes by the content
    assert "import unfreeze" not in EXAMPLES[format]
    exec(compile(EXAMPLES[format], "docs/export.md", "exec"), {})
    name, probability = capsys.readouterr().out.splitlines()[-1].rsplit(" ", 1)
    [prediction] = unfreeze.load(tiny_run.path).predict("photo.jpg")
    assert (name, float(probability)) == (prediction.top[0][0], pytest.approx(prediction.top[0][1], abs=1e-5))
