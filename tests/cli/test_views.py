"""`unfreeze views`: a picture of a photo's views."""

from PIL import Image

from tests.cli.conftest import refused


def test_json_and_text(call, series, solar_cells, tmp_path):
    run = series / "experiments" / "model_2" / "seed-0"
    photo = sorted((solar_cells / "functional").iterdir())[0]
    out = tmp_path / "views.png"
    finished = call("views", run, photo, "--out", out, "--json")
    assert finished.code == 0
    assert finished.json == {"photo": str(photo), "views": 2, "out": str(out)}
    with Image.open(out) as picture:
        assert picture.format == "PNG"
    finished = call("views", run, photo, "--count", 1, "--out", out)
    assert finished.stdout == f"1 views of {photo}, drawn in {out}\n"


def test_what_is_not_there(call, recipe, tmp_path):
    assert refused(call("views", recipe, tmp_path / "a.jpg")) == f"{tmp_path / 'a.jpg'} is not there."
