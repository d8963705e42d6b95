"""Photos with right and wrong told apart by sign and by colour."""

import numpy as np
import pytest
from made_series import cut_off, words

from unfreeze.report.gallery import PredictedPhoto, gallery
from unfreeze.report.style import GREEN, RED


def photo(label="cat", predicted="cat", shape=(30, 40), path="test/cat/1.jpg") -> PredictedPhoto:
    return PredictedPhoto(np.full((*shape, 3), 128, np.uint8), label, predicted, 0.876, path)


def test_right_and_wrong():
    picture = gallery([photo(), photo(predicted="dog")])
    verdicts = {text.get_text(): text.get_color() for text in picture.texts}
    assert verdicts["✓ cat  88%"] == GREEN
    assert verdicts["✗ dog  88%\nis cat"] == RED
    assert "1 of 2 photos right" in verdicts
    assert "test/cat/1.jpg" in verdicts
    frames = [axes.spines["left"].get_edgecolor() for axes in picture.axes]
    assert frames[0] != frames[1]


def test_photos_keep_their_proportions():
    picture = gallery([photo(shape=(30, 60), path="wide.jpg"), photo(shape=(60, 30), path="tall.jpg")])
    picture.canvas.draw()
    for axes, ratio, path in zip(picture.axes, (2, 0.5), ("wide.jpg", "tall.jpg"), strict=True):
        box = axes.get_window_extent()
        assert box.width / box.height == pytest.approx(ratio, rel=0.01)
        (below,) = [text.get_window_extent() for text in picture.texts if text.get_text() == path]
        assert 0 < box.y0 - below.y1 < 15


@pytest.mark.parametrize("count", [1, 2, 3, 4, 9, 10, 25])
def test_any_number_fits(count):
    name = "a_class_name_that_goes_on_and_on_$and_on$"
    path = "some/very/long/folder/that/goes/on/and/on/$1/photo_000001.jpg"
    picture = gallery([photo(name, name if i % 2 else f"not_{name}", path=path) for i in range(count)])
    assert len(picture.axes) == count
    assert not cut_off(picture)
    boxes = [text.get_window_extent() for text in picture.texts]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_a_large_gallery_is_square():
    picture = gallery([photo()] * 100)
    lefts = {round(axes.get_position().x0, 3) for axes in picture.axes}
    assert (len(picture.axes), len(lefts)) == (100, 10)


def test_the_signs_are_in_the_font(recwarn):
    words(gallery([photo(), photo(predicted="dog")]))
    assert not recwarn.list
