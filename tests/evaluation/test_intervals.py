"""The Wilson interval against published values."""

import pytest

from unfreeze.evaluation.intervals import wilson_interval


@pytest.mark.parametrize(
    ("correct", "n", "low", "high"),
    [
        # method 3 in table I of R. G. Newcombe, Statistics in Medicine 17 (1998), 857-872
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_published_values(correct, n, low, high):
    assert wilson_interval(correct, n) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


def test_all_right_mirrors_none_right():
    low, high = wilson_interval(20, 20)
    assert (1 - high, 1 - low) == pytest.approx(wilson_interval(0, 20))


@pytest.mark.parametrize(("correct", "n"), [(0, 0), (-1, 5), (6, 5)])
def test_impossible_counts_are_refused(correct, n):
    with pytest.raises(ValueError, match=rf"not correct={correct}, n={n}"):
        wilson_interval(correct, n)
