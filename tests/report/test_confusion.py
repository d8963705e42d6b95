"""The confusion matrix: numbers in the right cells, readable with 2 to 100 classes."""

import numpy as np
import pytest
from made_series import confused, cut_off, overlapping, words

from unfreeze.evaluation.metrics import evaluate
from unfreeze.report.confusion import confusion
from unfreeze.report.style import BLUE


def cells(picture) -> dict[tuple[int, int], str]:
    """Text by (row, column)."""
    return {
        (round(each.get_position()[1]), round(each.get_position()[0])): each.get_text()
        for each in picture.axes[0].texts
    }


def test_counts_and_shares_of_the_row():
    # 4 cats, one of them taken for a dog; 2 dogs, both taken for eels; no eel
    labels = np.array([0, 0, 0, 0, 1, 1])
    metrics = evaluate(labels, np.eye(3, dtype=np.float32)[[0, 0, 0, 1, 2, 2]])
    picture = confusion(metrics, ["cat", "dog", "eel"], "model_3")
    assert cells(picture) == {(0, 0): "3\n75%", (0, 1): "1\n25%", (1, 2): "2\n100%"}
    axes = picture.axes[0]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["cat", "dog", "eel"]
    assert axes.get_ylabel() == "true class"
    text = words(picture)
    assert "model_3: 50.0% of 6 test photos right" in text
    assert "Most often dog is taken for eel (2 of 2)" in text


def test_right_is_blue_wrong_is_not_and_the_rest_is_white():
    metrics = evaluate(np.array([0, 1]), np.eye(3, dtype=np.float32)[[0, 2]])
    image = np.asarray(confusion(metrics, ["cat", "dog", "eel"], "a").axes[0].images[0].get_array())
    blue = [int(BLUE[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    np.testing.assert_allclose(image[0, 0], blue)
    assert image[1, 2, 0] > image[1, 2, 2]
    np.testing.assert_array_equal(image[2], np.ones((3, 3)))


def test_no_mistakes():
    labels, probabilities = confused(right=4, n=4, c=2)
    assert "No mistakes." in words(confusion(evaluate(labels, probabilities), ["a", "b"], "a"))


@pytest.mark.parametrize(
    ("c", "text"), [(2, "10\n100%"), (12, "10\n100%"), (13, "10"), (25, "10"), (26, None), (100, None)]
)
def test_numbers_while_there_is_room(c, text):
    labels, probabilities = confused(right=10 * c, n=10 * c, c=c)
    picture = confusion(evaluate(labels, probabilities), [f"class_{i}" for i in range(c)], "a")
    assert set(cells(picture).values()) == ({text} if text else set())


@pytest.mark.parametrize("c", [2, 6, 7, 13, 26, 100])
@pytest.mark.parametrize("name", ["x", "a_class_name_that_goes_on_and_on_$and_on$"])
def test_labels_neither_overlap_nor_are_cut_off(c, name):
    labels, probabilities = confused(right=8 * c, n=10 * c, c=c)
    picture = confusion(evaluate(labels, probabilities), [f"{name}_{i}" for i in range(c)], "model_0")
    assert not cut_off(picture)
    assert not overlapping(picture.axes[0].get_xticklabels())
    assert not overlapping(picture.axes[0].get_yticklabels())
