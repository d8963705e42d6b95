"""predictions.csv: the same bits out as in, read by position, equal files for equal predictions."""

import csv
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from unfreeze.errors import RunError
from unfreeze.evaluation.predictions import Predictions, read_predictions, write_predictions


def predictions(probabilities, labels=None, classes=None, paths=None) -> Predictions:
    array = np.asarray(probabilities, np.float32)
    n, c = array.shape
    return Predictions(
        paths=tuple(paths or (f"test/{i}.jpg" for i in range(n))),
        labels=np.asarray(labels if labels is not None else [0] * n),
        classes=tuple(classes or (f"class {i}" for i in range(c))),
        probabilities=array,
    )


def assert_same(a: Predictions, b: Predictions) -> None:
    assert (a.paths, a.classes) == (b.paths, b.classes)
    np.testing.assert_array_equal(a.labels, b.labels)
    np.testing.assert_array_equal(a.probabilities.view(np.uint32), b.probabilities.view(np.uint32))


def test_the_file_is_what_the_contract_says(tmp_path):
    file = tmp_path / "predictions.csv"
    write_predictions(file, predictions([[0.1, 0.9], [1, 1e-8]], labels=[0, 0], classes=["cat", "dog"]))
    assert file.read_bytes() == (
        b"path,label,predicted,probability,cat,dog\ntest/0.jpg,cat,dog,0.9,0.1,0.9\ntest/1.jpg,cat,cat,1.0,1.0,1e-08\n"
    )


@given(arrays(np.float32, (4, 3), elements=st.floats(0, 1, width=32)))
def test_every_float32_comes_back_to_the_bit(tmp_path_factory, rows):
    file = tmp_path_factory.mktemp("run") / "predictions.csv"
    written = predictions(rows)
    write_predictions(file, written)
    assert_same(read_predictions(file), written)


def test_nothing_shorter_would_read_back(tmp_path):
    value = np.float32(1 / 3)
    write_predictions(tmp_path / "p.csv", predictions([[value, 1 - value]]))
    text = (tmp_path / "p.csv").read_text().split(",")[-2]
    assert np.float32(text) == value
    digits = len(text) - len("0.")
    assert np.float32(round(float(value), digits - 1)) != value


def test_equal_predictions_make_equal_files(tmp_path):
    rows = np.random.default_rng(0).dirichlet(np.ones(5), 20)
    for name in ("a.csv", "b.csv"):
        write_predictions(tmp_path / name, predictions(rows))
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_classes_called_like_the_first_columns(tmp_path):
    classes = ["label", "path", "predicted", "probability"]
    written = predictions(np.eye(4)[[2, 0]], labels=[1, 3], classes=classes)
    write_predictions(tmp_path / "p.csv", written)
    assert (tmp_path / "p.csv").read_text().splitlines()[1] == "test/0.jpg,path,predicted,1.0,0.0,0.0,1.0,0.0"
    assert_same(read_predictions(tmp_path / "p.csv"), written)


def test_names_with_commas_quotes_line_ends_and_bytes_that_are_not_utf8(tmp_path):
    written = predictions(
        [[0.5, 0.25, 0.25]],
        labels=[2],
        classes=["a, b", 'the "best"', "crème brûlée"],
        paths=[os.fsdecode(b"caf\xe9\n1.jpg")],
    )
    write_predictions(tmp_path / "p.csv", written)
    assert_same(read_predictions(tmp_path / "p.csv"), written)
    with (tmp_path / "p.csv").open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        assert len(list(csv.reader(file))) == 2


def test_predicted_is_the_first_of_equally_probable_classes():
    np.testing.assert_array_equal(predictions([[0.25, 0.375, 0.375]]).predicted, [1])


def test_only_float32_is_written(tmp_path):
    wrong = Predictions(("a.jpg",), np.array([0]), ("cat", "dog"), np.array([[0.1, 0.9]]))
    with pytest.raises(ValueError, match="must be float32, not float64"):
        write_predictions(tmp_path / "p.csv", wrong)


HEADER = "path,label,predicted,probability,cat,dog\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is no list of predictions: its first line must be path,label,predicted,probability"),
        ("path,label,predicted,probability\n", "is no list of predictions"),
        ("path,label\na.jpg,cat\n", "is no list of predictions"),
        (HEADER + "a.jpg,cat,cat,0.9,0.9,0.1\nb.jpg,cow,cat,0.9,0.9,0.1\n", "photo 2: .* class columns"),
        (HEADER + "a.jpg,cat,cat,0.9,0.9\n", "then 2 probabilities, not 'a.jpg,cat,cat,0.9,0.9'"),
        (HEADER + "a.jpg,cat,cat,0.9,0.9,many\n", "photo 1"),
        (HEADER + "a.jpg,cat\n", "photo 1"),
    ],
)
def test_other_files_are_refused(tmp_path, text, message):
    (tmp_path / "p.csv").write_text(text)
    with pytest.raises(RunError, match=message):
        read_predictions(tmp_path / "p.csv")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(RunError, match=r"p\.csv isn't there: the run is not finished"):
        read_predictions(tmp_path / "p.csv")
