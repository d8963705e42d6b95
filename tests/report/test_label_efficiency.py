"""What photos buy: the power law recovered, its interval by simulation, and the picture."""

import numpy as np
import pytest
from made_series import Made, cut_off, words

from unfreeze.report.label_efficiency import doublings, label_efficiency
from unfreeze.report.side_by_side import side_by_side


def test_an_error_that_halves_with_ten_times_the_photos(make_series):
    runs = Made("small", right=600, train_images=100), Made("large", right=800, train_images=1000)
    (found,) = doublings(side_by_side(make_series(*runs, n=1000)))
    assert (found.names, found.photos) == (("small", "large"), (100, 1000))
    error = 0.2 * 2 ** -np.log10(2)  # 20% * (2,000 / 1,000) ^ (log 0.5 / log 10)
    assert found.accuracy == pytest.approx(1 - error)
    assert found.ci95[0] < found.accuracy < found.ci95[1]
    assert str(found) == (
        "With twice its 1,000 training photos, large would get about 83.8% right (81.3 to 86.1%), if its error goes on "
        "falling as it did from 100 photos (small)."
    )


def test_three_sizes_on_one_line(make_series):
    runs = [Made(f"m{n}", right=1000 - int(1600 / n**0.5), train_images=n) for n in (1000, 10, 100)]
    (found,) = doublings(side_by_side(make_series(*runs, n=1000)))
    assert found.photos == (10, 100, 1000)
    assert 1 - found.accuracy == pytest.approx(0.05 / 2**0.5, rel=0.02)


def test_only_photos_may_differ(make_series):
    runs = [
        Made("a", train_images=10),
        Made("b", train_images=100, unfreeze=10),
        Made("c", train_images=100, parent="a"),
        Made("d", kind="as_is", train_images=None),
        Made("e", train_images=50, tested=False),
    ]
    assert doublings(side_by_side(make_series(*runs))) == ()


def test_all_right_is_no_logarithm_of_zero(make_series):
    runs = Made("a", right=9, train_images=10), Made("b", right=10, train_images=100)
    (found,) = doublings(side_by_side(make_series(*runs)))
    assert 0.9 < found.accuracy <= 1
    assert found.ci95[1] <= 1


def test_the_picture_shows_every_tested_experiment(make_series):
    runs = [
        Made("as is", right=3, kind="as_is", train_images=None, seconds=0.5),
        Made("$one$", right=5, train_images=7),
        Made("two", right=8, train_images=75, seconds=60),
        Made("three", right=8, train_images=75, seconds=61),
        Made("four", right=9, train_images=750, seconds=600),
    ]
    picture = label_efficiency(side_by_side(make_series(*runs)))
    for name in ("as is", "$one$", "two, three", "four"):
        assert name.replace("$", r"\$") in words(picture)
    assert not cut_off(picture)
    above, below = picture.axes
    assert above.get_xlim()[0] < 7 + 112 < 750 + 112 < above.get_xlim()[1]
    assert below.get_xlim()[0] < 0.5 < 600 < below.get_xlim()[1]
