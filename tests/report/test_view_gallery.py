"""A photo beside its views: all of them, in order, pixel for pixel."""

import numpy as np
import pytest
from made_series import cut_off, words

from unfreeze.report.view_gallery import view_gallery


@pytest.mark.parametrize("count", [1, 3, 7, 20])
def test_photo_and_views_in_order(count):
    photo, *views = np.random.default_rng(count).integers(0, 256, (count + 1, 24, 24, 3), np.uint8)
    picture = view_gallery(photo, views, "some/$photos$/photo_1.jpg", "each epoch sees another")
    for axes, pixels in zip(picture.axes, [photo, *views], strict=True):
        np.testing.assert_array_equal(axes.images[0].get_array(), pixels)
    names = [axes.get_title(loc="left") for axes in picture.axes]
    assert names == ["as it is", *(f"view {number}" for number in range(1, count + 1))]
    shown = words(picture)
    assert "$photos$" in shown.replace("\\", "").replace("\n", "")
    assert "each epoch sees another" in shown
    assert not cut_off(picture)
    boxes = [axes.get_window_extent() for axes in picture.axes]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
