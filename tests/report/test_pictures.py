"""The files of OUT/pictures."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from made_series import Made
from PIL import Image

from unfreeze.errors import RunError
from unfreeze.report.curves import curves
from unfreeze.report.pictures import save_pictures
from unfreeze.seals import sealed

PNG = b"\x89PNG\r\n\x1a\n"


def test_every_picture_of_a_series(make_series):
    results = make_series(
        Made("as_is", kind="as_is", val_loss=None, unfreeze=None),
        Made("model_0"),
        Made("model_0", seed=1),
        Made("untested", tested=False),
    )
    files = save_pictures(results.out)
    assert [file.relative_to(results.out).as_posix() for file in files] == [
        "pictures/comparison.png",
        "pictures/as_is-seed-0-confusion.png",
        "pictures/model_0-seed-0-curves.png",
        "pictures/model_0-seed-0-confusion.png",
        "pictures/model_0-seed-1-curves.png",
        "pictures/model_0-seed-1-confusion.png",
        "pictures/untested-seed-0-curves.png",
    ]
    assert sorted(files) == sorted((results.out / "pictures").iterdir())
    for file in files:
        with Image.open(file) as image:
            assert image.format == "PNG"
            assert image.width >= 500


def test_drawn_again_the_bytes_are_the_same(make_series):
    out = make_series(Made("a"), Made("b", parent="a", unfreeze=10)).out
    before = [file.read_bytes() for file in save_pictures(out)]
    assert [file.read_bytes() for file in save_pictures(out)] == before


def test_in_several_threads_the_bytes_are_the_same(make_series):
    out = make_series(Made("a"), Made("b", parent="a", unfreeze=10)).out
    runs = [out / "experiments" / name / "seed-0" for name in ("a", "b", "a", "b")]
    alone = [curves(run)._repr_png_() for run in runs]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(lambda run: curves(run)._repr_png_(), runs)) == alone


def test_a_notebook_gets_a_png(make_series):
    picture = curves(make_series(Made("a")).out / "experiments" / "a" / "seed-0")
    assert picture._repr_png_().startswith(PNG)


def test_the_baseline_is_the_largest_class(make_series):
    # 3 of the 5 test photos are cats
    results = make_series(Made("a", right=5), n=5)
    metrics = json.loads((results.out / "experiments/a/seed-0/metrics.json").read_text())
    assert [each["support"] for each in metrics["test"]["per_class"]] == [3, 2]
    code = (
        "import sys, pathlib, unfreeze.report.pictures as pictures\n"
        "pictures.comparison = lambda results, share: (print(share), drawn(results, share))[1]\n"
        "from unfreeze.report.comparison import comparison as drawn\n"
        "pictures.save_pictures(pathlib.Path(sys.argv[1]))\n"
        "print([name for name in ('keras', 'matplotlib.pyplot') if name in sys.modules])\n"
    )
    said = subprocess.run([sys.executable, "-c", code, results.out], capture_output=True, text=True, check=True)
    assert said.stdout.split("\n")[:2] == ["0.6", "[]"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, r"metrics\.json is damaged or missing"),
        (b"{", r"metrics\.json is damaged"),
        (b'{"test": null}', r"metrics\.json is damaged"),
        (sealed({"test": {"n": 3}}), r"metrics\.json is damaged .*ci95"),
    ],
)
def test_damaged_metrics_are_named(make_series, text, message):
    out = make_series(Made("a")).out
    file = out / "experiments" / "a" / "seed-0" / "metrics.json"
    file.unlink()
    if text is not None:
        file.write_bytes(text)
    with pytest.raises(RunError, match=message):
        save_pictures(out)
