"""The report as a reader and a browser see it: all parts, self-contained, from saved results alone."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from made_series import Made
from PIL import Image

from unfreeze.data.test_reads import FINAL, record_test_read
from unfreeze.errors import RunError
from unfreeze.report.page import GALLERY, write_report
from unfreeze.report.pictures import save_pictures
from unfreeze.report.results import load_results
from unfreeze.report.side_by_side import side_by_side

VOID = {"meta", "img", "br", "link", "hr", "input"}


class Page(HTMLParser):
    """Its text, the addresses it asks for, and whether every element is closed."""

    def __init__(self, html: str):
        super().__init__()
        self.words, self.addresses, self.open, self.ids, self.anchors = [], [], [], set(), set()
        self.feed(html)
        self.text = re.sub(r"\s+", " ", " ".join(self.words))

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name == "id":
                self.ids.add(value)
            if name == "href" and value.startswith("#"):
                self.anchors.add(value[1:])
            elif name in ("src", "href", "srcset", "action"):
                self.addresses.append(value)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, tag

    def handle_data(self, data):
        if self.open[-1:] not in (["style"], ["script"], ["title"]):
            self.words.append(data)


def write_splits(out, labels=("cat", "dog") * 5):
    lines = [f"{number}.jpg,{number:064x},{label},test," for number, label in enumerate(labels)]
    lines += ["a/1.jpg,aa,cat,train,0", "a/2.jpg,bb,dog,val,", "a/3.jpg,cc,dog,left_out,"]
    (out / "splits.csv").write_text("path,sha256,label,split,rank\n" + "\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture
def series(make_series, tmp_path):
    runs = [Made("frozen", right=6, train_images=75, seed=seed, val_accuracy=0.6 + seed / 100) for seed in (0, 1)] + [
        Made("tuned", right=8, train_images=75, seed=seed, parent="frozen", unfreeze=10, val_accuracy=0.8)
        for seed in (0, 1)
    ]
    make_series(*runs)
    write_splits(tmp_path)
    record_test_read(tmp_path / "test_reads.jsonl", f"{FINAL}pets", ["a"], 10)
    (tmp_path / "bad_files.csv").write_text("path,reason\nb/broken.jpg,is cut off\n")
    (tmp_path / "recipe.yaml").write_text("name: pets  # <&>\n")
    return tmp_path


def page(out, photos=None) -> Page:
    save_pictures(out)
    file = write_report(side_by_side(load_results(out)), photos)
    assert file == out / "report.html"
    assert file.stat().st_size < 5_000_000
    return Page(file.read_text(encoding="utf-8"))


def test_everything_that_was_asked_for_is_there(series):
    shown = page(series)
    assert not shown.open
    assert shown.text.strip().startswith("Ship tuned: 80.0% of 10 test photos right.")
    for words in (
        "The 95% interval is",
        "within noise of frozen",
        "Is the difference real?",
        "efficientnet_lite0 pretrained weights",
        "none moved",
        "ffffffffffff",
        "Most confident mistakes",
        "Least confident hits",
        "Class by class, worst first",
        "calibration error, 15 bins",
        "6,375 photos for training",
        "b/broken.jpg is cut off",
        "a/3.jpg",
        f"{FINAL}pets",
        "name: pets # <&>",
        "unfreeze: 0.1.0",
        "This is the run with seed 0.",
    ):
        assert words in shown.text, words
    pictures = [address for address in shown.addresses if address.startswith("data:image/png")]
    assert len(pictures) == 2 + 3  # curves of both, confusion matrix, reliability, photos and seconds


def test_it_needs_nothing_beside_it(series):
    shown = page(series)
    assert all(address.startswith("data:") for address in shown.addresses)
    assert "http" not in (series / "report.html").read_text()
    assert shown.anchors <= shown.ids


def test_photos_are_kept_and_shown_when_their_files_are_gone(series, tmp_path):
    files = {}
    for number in range(10):
        files[f"{number}.jpg"] = tmp_path / f"photo{number}.jpg"
        Image.new("RGB", (640, 200), (20 * number, 100, 50)).save(files[f"{number}.jpg"])
    before = [address for address in page(series, files).addresses if "jpeg" in address]
    assert len(before) == 10  # 8 hits, 2 mistakes
    for file in files.values():
        file.unlink()
    assert [address for address in page(series).addresses if "jpeg" in address] == before
    for file in (series / "thumbnails").iterdir():
        with Image.open(file) as thumbnail:
            assert thumbnail.size == (176, 55)


def test_photos_that_can_not_be_had_are_named(series, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"no photo")
    shown = page(series, {"9.jpg": tmp_path / "broken.jpg", "8.jpg": tmp_path / "gone.jpg"})
    assert shown.text.count("not kept") == 10
    assert "9.jpg" in shown.text


def test_galleries_hold_the_most_confident_and_the_least(make_series, tmp_path):
    from unfreeze.evaluation.predictions import Predictions, write_predictions

    results = make_series(Made("a", right=30), n=60)
    write_splits(tmp_path, ("cat", "dog") * 30)
    labels = np.arange(60) % 2
    sure = np.linspace(0.51, 0.99, 60, dtype=np.float32)
    predicted = np.where(np.arange(60) < 30, labels, 1 - labels)
    rows = np.where(np.arange(2) == predicted[:, None], sure[:, None], 1 - sure[:, None]).astype(np.float32)
    predictions = Predictions(tuple(f"{n}.jpg" for n in range(60)), labels, ("cat", "dog"), rows)
    write_predictions(tmp_path / results.experiments[0].path / "predictions.csv", predictions)
    text = page(tmp_path).text
    mistakes, hits = text.partition("Most confident mistakes")[2].split("Least confident hits")
    hits = hits.partition("Class by class")[0]
    assert re.findall(r"(\d+)\.jpg", mistakes) == [str(n) for n in range(59, 59 - GALLERY, -1)]
    assert re.findall(r"(\d+)\.jpg", hits) == [str(n) for n in range(GALLERY)]


def test_names_are_text_and_never_code(make_series, tmp_path):
    evil = "<script>alert(1)</script>"
    make_series(Made("a", right=5), classes=(evil, "$x$ & 'y'"))
    write_splits(tmp_path, (evil, "$x$ & 'y'") * 5)
    rows = (
        (tmp_path / "splits.csv")
        .read_text()
        .replace("a/1.jpg,aa,cat", f"<b>.jpg,aa,{evil}")
        .replace(",dog", f",{evil}")
    )
    (tmp_path / "splits.csv").write_text(rows)
    shown = page(tmp_path)
    assert evil in shown.text
    assert "<script" not in (tmp_path / "report.html").read_text()


def test_what_speaks_against_the_figures_stands_on_top(series):
    record_test_read(series / "test_reads.jsonl", f"{FINAL}pets", ["experiments/tuned/seed-1"], 10)
    record_test_read(series / "test_reads.jsonl", "unfreeze show", ["experiments/tuned/seed-1"], 3)
    text = page(series).text
    assert text.index("1 run was tested after") < text.index("The test photos were looked at once more.")
    assert text.index("The test photos were looked at") < text.index("Lineage, and what stayed frozen")


def test_moved_weights_are_said(series):
    file = series / "experiments" / "tuned" / "seed-1" / "lineage.json"
    document = json.loads(file.read_text())
    document["phases"][0]["frozen_sha256_after"] = "0" * 64
    file.write_text(json.dumps(document))
    assert "moved in 1 of 2 runs" in page(series).text
    file.write_text("{")
    with pytest.raises(RunError, match=r"lineage\.json is damaged.*--force"):
        page(series)


def test_a_series_that_has_not_been_tested(make_series, tmp_path):
    make_series(Made("a", tested=False))
    text = page(tmp_path).text
    assert text.strip().startswith("pets: no experiment has read the test photos yet.")
    assert "Never, or test_reads.jsonl is missing." in text


def test_as_is_alone(make_series, tmp_path):
    make_series(Made("as_is", kind="as_is", train_images=None))
    assert page(tmp_path).text.strip().startswith("Ship as_is: 80.0% of 10 test photos right.")


def test_the_same_results_give_the_same_bytes(series):
    page(series)
    before = (series / "report.html").read_bytes()
    page(series)
    assert (series / "report.html").read_bytes() == before


def test_a_hundred_classes_stay_under_five_megabytes(make_series, tmp_path):
    classes = [f"class {number:03d}" for number in range(100)]
    make_series(
        *(Made(f"model_{number}", right=900 + number, train_images=75) for number in range(4)), classes=classes, n=1000
    )
    write_splits(tmp_path, [classes[number % 100] for number in range(1000)])
    rows = (tmp_path / "splits.csv").read_text().replace(",cat", ",class 000").replace(",dog", ",class 001")
    (tmp_path / "splits.csv").write_text(rows)
    page(tmp_path)


def test_a_parent_in_another_folder_is_named(make_series, tmp_path):
    make_series(Made("tuned", unfreeze=10, parent="elsewhere"), Made("frozen"))
    text = page(tmp_path).text
    assert "tuned from elsewhere, which stands elsewhere fine-tuning: last 10" in text
    assert text.count("which stands elsewhere") == 1
