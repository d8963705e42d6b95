"""The page's functions and its API, without a browser."""

import html
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.inference.serving import ask, call, predict, serving, upload
from tests.runs import copy_run

import unfreeze
from unfreeze.errors import PhotoError, RunError
from unfreeze.evaluation.predictions import read_predictions, write_predictions
from unfreeze.inference import served_run
from unfreeze.inference.cards import answer_html, shelf_html
from unfreeze.inference.feature_map_network import _in_keras
from unfreeze.inference.photo_shelf import PAGE, PhotoShelf
from unfreeze.inference.served_run import served_runs, uploaded
from unfreeze.seals import read_sealed
from unfreeze.series.folders import RunFolder

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def copied(series, tmp_path_factory):
    """A run that may be written to."""
    return copy_run(series, "model_3", tmp_path_factory.mktemp("served"))


@pytest.fixture(scope="module")
def run(copied):
    [run] = served_runs([copied])
    run.prepare()
    return run


@pytest.fixture(scope="module")
def address(copied, run, tmp_path_factory):  # `run` has made the quick copy
    with serving([copied], tmp_path_factory.mktemp("uploads")) as address:
        yield address


@pytest.fixture
def photo(solar_cells):
    return sorted((solar_cells / "defective").iterdir())[3]


def test_what_the_map_is_made_of_gives_the_probabilities(run, photo):
    """Features, pooled, times weights: softmax of that, with the temperature, but for the bias."""
    predictor, network = run.prepare()
    row, features = network.predict(predictor.pixels(photo.read_bytes()))
    assert features.shape == (2, 2, 1280)
    bias = np.asarray(predictor.model.get_layer("head").bias)
    scores = (features.mean((0, 1)) @ network.weights + bias) / predictor.temperature
    np.testing.assert_allclose(np.exp(scores) / np.exp(scores).sum(), row, atol=1e-5)


def test_keras_gives_the_same_map(run, photo):
    predictor, quick = run.prepare()
    keras, pixels = _in_keras(predictor), predictor.pixels(photo.read_bytes())
    for one, other in zip(quick.predict(pixels), keras.predict(pixels), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-3)
    np.testing.assert_allclose(quick.weights, keras.weights)


def test_the_api_answers_as_predict_does(address, copied, solar_cells):
    photos = sorted(solar_cells.rglob("*.png"))[::16]
    for file, expected in zip(photos, unfreeze.load(copied).predict(photos), strict=True):
        answer = predict(address, file, "model_3")
        assert (answer["path"], answer["error"]) == (file.name, None)
        assert [top["class"] for top in answer["top"]] == [name for name, _ in expected.top]
        for top, (_, probability) in zip(answer["top"], expected.top, strict=True):
            assert top["probability"] == pytest.approx(probability, abs=1e-5)


def test_a_bad_photo_gets_a_sentence(address, photo):
    for data, reason in (
        (b"no photo", "is no photo, or of a kind that is not read"),
        (photo.read_bytes()[:500], "trunc"),
    ):
        status, (event, [[answer]]) = call(address, upload(address, "bad.png", data), "model_3")
        assert (status, event) == (200, "complete")
        assert answer["top"] == []
        assert reason in answer["error"]


def test_no_other_file_can_be_read(address, copied, run):
    secret = copied / "metrics.json"
    for path in (str(secret), "/etc/passwd", "http://127.0.0.1:9/x.png", f"{copied}/../../../splits.csv"):
        assert call(address, path, "model_3")[0] == 403
        assert ask(f"{address}/gradio_api/file={path}")[0] in (403, 404)
    # a file in a place where none belongs
    body = json.dumps({"data": [None, {"path": str(secret), "meta": {"_type": "gradio.FileData"}}]}).encode()
    assert ask(f"{address}/gradio_api/call/predict", body, content_type="application/json")[0] == 403


def test_an_upload_lands_in_the_uploads_whatever_its_name(address, photo):
    with pytest.raises(AssertionError, match="Invalid file name"):
        upload(address, "..", photo.read_bytes())
    for name in ("../../../x.png", "/etc/x.png", "x"):
        path = Path(upload(address, name, photo.read_bytes()))
        assert "uploads" in path.parts[-4:][0] or "uploads0" in path.parts
        assert ask(f"{address}/gradio_api/file={path}")[1] == photo.read_bytes()


def test_a_model_that_is_not_served(address, photo):
    status, (event, _) = call(address, upload(address, "x.png", photo.read_bytes()), "../model_0")
    assert (status, event) == (200, "error")


def test_another_name_of_this_machine_is_refused(address):
    assert ask(f"{address}/config")[0] == 200
    assert ask(f"{address}/config", host="example.org")[0] == 400


def test_nothing_on_the_page_is_fetched_from_elsewhere(address):
    status, page = ask(address)
    assert status == 200
    tags = re.findall(rb"<(?:script|link|img|iframe)[^>]*(?:src|href)=[\"']?(https?:)?//[^>]*>", page)
    assert tags == []
    assert b"fonts.googleapis" not in page
    _, theme = ask(f"{address}/theme.css")
    assert re.findall(rb"@import|url\(.?https?:", theme) == []


def test_the_report(address, copied):
    assert ask(f"{address}/report/0")[0] == 404
    (copied.parents[2] / "report.html").write_text("the report")
    assert ask(f"{address}/report/0") == (200, b"the report")
    for number in ("1", "-1", "../../splits.csv"):
        assert ask(f"{address}/report/{number}")[0] in (404, 422)


def test_limits_of_uploads(tmp_path, monkeypatch):
    file = tmp_path / "x.png"
    Image.new("RGB", (60, 50)).save(file)
    assert uploaded(file) == file.read_bytes()
    monkeypatch.setattr(served_run, "UPLOAD_PIXELS", 2999)
    with pytest.raises(PhotoError, match="has 60 x 50 pixels, more than 2,999"):
        uploaded(file)
    monkeypatch.setattr(served_run, "UPLOAD_LIMIT", 10)
    with pytest.raises(PhotoError, match="has more than"):
        uploaded(file)


def test_photos_page_by_page(run, copied):
    shelf = PhotoShelf(run)
    assert shelf.splits() == ["train", "val", "test"]
    assert shelf.classes("val") == ["defective", "functional"]
    first, second = shelf.page("train", "functional", 0), shelf.page("train", "functional", 1)
    assert (first.page, second.page, len(first.photos)) == (0, 1, PAGE)
    assert {photo.label for photo in first.photos + second.photos} == {"functional"}
    assert not {photo.path for photo in first.photos} & {photo.path for photo in second.photos}
    assert shelf.page("train", "functional", 1000).page == (first.total - 1) // PAGE
    assert shelf.page("train", "functional", -1).page == 0
    said = shelf_html(first, PAGE)
    assert said.count("uf-card") == PAGE
    assert said.count("✓ right") == sum(photo.is_right for photo in first.photos)


def test_test_photos_go_on_record_once(run, copied):
    record = copied.parents[2] / "test_reads.jsonl"
    before, shelf = len(record.read_text().splitlines()), PhotoShelf(run)
    shelf.page("train", None, 0)
    assert len(record.read_text().splitlines()) == before
    for _ in range(2):
        shown = shelf.page("test", None, 0).photos
    reads = [json.loads(line) for line in record.read_text().splitlines()[before:]]
    assert [(read["why"], read["photos"]) for read in reads] == [("unfreeze serve", 1)] * len(shown)


def test_mistakes_of_predictions_csv_surest_first(series, tmp_path):
    """Predictions of which eight are wrong, by other probabilities than the file is sorted by."""
    path = copy_run(series, "model_3", tmp_path)
    saved = read_predictions(path / "predictions.csv")
    sure = np.linspace(0.55, 0.9, 8)[[3, 0, 7, 5, 1, 6, 2, 4]]
    rows = np.eye(2, dtype=np.float32)[saved.labels]
    rows[range(8), saved.labels[:8]] = 1 - sure
    rows[range(8), 1 - saved.labels[:8]] = sure
    write_predictions(path / "predictions.csv", replace(saved, probabilities=rows))
    figures = read_sealed(path / "metrics.json")
    RunFolder(path).seal({**figures, "files": {}})
    [run] = served_runs([path])
    first, second = PhotoShelf(run).mistakes(0), PhotoShelf(run).mistakes(1)
    assert [photo.path for photo in first.photos + second.photos] == [saved.paths[i] for i in np.argsort(-sure)]
    assert (first.page, second.page, first.total) == (0, 1, 8)


def test_names_from_outside_are_escaped(run, photo):
    look = run.look(photo.read_bytes())
    evil = "<img src=x onerror=alert(1)>"
    said = answer_html(evil, type(look)(look.photo, None, ((evil, 0.5),)), evil)
    assert evil not in said
    assert said.count(html.escape(evil)) == 3


def test_a_folder_stands_for_the_runs_below_it(series, tmp_path):
    names = [run.name for run in served_runs([series])]
    assert names == ["model_0", "model_1", "model_2", "model_3", "model_4"]
    with pytest.raises(RunError, match="holds no finished run"):
        served_runs([tmp_path])


def test_a_large_photo_is_made_small_for_the_page(run):
    data = io.BytesIO()
    Image.effect_noise((1500, 900), 50).convert("RGB").save(data, "JPEG")
    assert run.look(data.getvalue()).overlay.shape == (307, 512, 3)


def test_the_example_of_the_documentation(address, photo, tmp_path, monkeypatch, capsys):
    [example] = re.findall(r"^```python\n(.*?)^```", (DOCS / "serve.md").read_text(encoding="utf-8"), re.S | re.M)
    Image.open(photo).convert("RGB").save(tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)
    example = example.replace("http://127.0.0.1:7860", address).replace("model_4", "model_3")
    exec(compile(example, "docs/serve.md", "exec"), {})
    assert capsys.readouterr().out.startswith("{'class': '")
