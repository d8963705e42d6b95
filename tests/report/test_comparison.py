"""The comparison shows the accuracies, intervals and baseline that were saved."""

import pytest
from made_series import Made, cut_off, overlapping, words
from matplotlib.collections import LineCollection

from unfreeze.report.comparison import comparison


def dots(picture) -> list[tuple[float, float]]:
    """(accuracy, row) of the large dots."""
    return [
        tuple(line.get_xydata()[0])
        for line in picture.axes[0].lines
        if line.get_markersize() == 6 and line.get_marker() != "None"
    ]


def bars(picture) -> list[tuple[float, float, float]]:
    """(low, high, row) of the intervals."""
    found = [each for each in picture.axes[0].collections if isinstance(each, LineCollection)]
    segments = [each.get_segments()[0] for each in found]
    return [(segment[0, 0], segment[1, 0], segment[0, 1]) for segment in segments]


def test_dots_bars_and_labels(make_series):
    results = make_series(
        Made("model_1", right=420, train_images=70),
        Made("model_4", right=916, unfreeze=10, train_images=6375),
        n=1000,
    )
    picture = comparison(results, largest_class=0.1)
    assert dots(picture) == [(0.42, 0), (0.916, 1)]
    (low, high, row) = bars(picture)[1]
    assert (round(low, 4), round(high, 4), row) == (0.8972, 0.9316, 1)  # Wilson's formula by hand
    text = words(picture)
    assert "model_4 has the highest test accuracy: 91.6%" in text
    assert "model_1\nfeature extraction, 70 photos" in text
    assert "model_4\nfine-tuning: last 10, 6,375 photos" in text
    assert "always the largest class: 10.0%" in text
    assert "91.6%  (89.7-93.2)" in text
    assert picture.axes[0].yaxis_inverted()  # the recipe's first on top
    assert not cut_off(picture)


def test_seeds_are_shown_singly_too(make_series):
    picture = comparison(make_series(Made("a", right=7), Made("a", right=9, seed=1)))
    assert dots(picture) == [(pytest.approx(0.8), 0)]
    (single,) = [line for line in picture.axes[0].lines if line.get_markersize() == 3.5]
    assert list(single.get_xdata()) == [0.7, 0.9]
    assert "always the largest class" not in words(picture)


def test_an_experiment_that_did_not_read_the_test_set(make_series):
    picture = comparison(make_series(Made("a", tested=False), Made("b", right=7)))
    assert dots(picture) == [(0.7, 1)]
    assert "test not read" in words(picture)
    alone = comparison(make_series(Made("c", tested=False)))
    assert "No experiment has read the test photos yet" in words(alone)


def test_validating_on_the_test_photos_is_said(make_series):
    assert "so the test figures are too good" in words(comparison(make_series(Made("a"), validation="test")))


@pytest.mark.parametrize("count", [1, 8, 40])
def test_many_experiments_with_long_names(make_series, count):
    name = "an_experiment_with_$a_name$_that_goes_on_and_on_and_on"
    runs = [Made(f"{name}_{i}", right=i % 11, unfreeze=f"block_{'x' * 50}") for i in range(count)]
    picture = comparison(make_series(*runs), largest_class=0.5)
    assert not cut_off(picture)
    assert not overlapping(picture.axes[0].get_yticklabels())
    assert picture.axes[0].get_window_extent().width > 0.4 * picture.bbox.width
