"""What the curves show, read back from the drawn lines."""

import numpy as np
import pytest
from made_series import Made, cut_off, words
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from unfreeze.errors import RunError
from unfreeze.report.curves import curves


def run_of(out, name):
    return out / "experiments" / name / "seed-0"


def line(axes: Axes, label: str) -> Line2D:
    (found,) = [each for each in axes.lines if each.get_label() == label]
    return found


def upright_lines(axes: Axes) -> list[float]:
    return [
        float(each.get_xdata()[0])
        for each in axes.lines
        if len(each.get_xdata()) == 2 and each.get_xdata()[0] == each.get_xdata()[1]
    ]


def test_a_child_goes_on_where_its_parent_ends(make_series):
    results = make_series(
        Made("model_2", val_loss=(0.9, 0.6, 0.7)),
        Made("model_3", parent="model_2", unfreeze=10, val_loss=(0.5, 0.4, 0.45)),
    )
    picture = curves(run_of(results.out, "model_3"))
    loss, accuracy = picture.axes
    np.testing.assert_array_equal(line(loss, "validation").get_xdata(), [1, 2, 3, 4, 5, 6])
    np.testing.assert_array_equal(line(loss, "validation").get_ydata(), [0.9, 0.6, 0.7, 0.5, 0.4, 0.45])
    np.testing.assert_allclose(line(loss, "training").get_ydata(), [1, 1 / 2, 1 / 3] * 2)
    np.testing.assert_allclose(line(accuracy, "validation").get_ydata(), [0.51, 0.52, 0.53] * 2)
    for axes, best, handed_on in ((loss, 0.4, 0.6), (accuracy, 0.52, 0.52)):
        assert upright_lines(axes) == [3.5]
        (diamond,) = line(axes, "best epoch (lowest validation loss)").get_xydata()
        (ring,) = line(axes, "weights handed on").get_xydata()
        assert tuple(diamond) == (5, best)
        assert tuple(ring) == (2, handed_on)
    text = words(picture)
    assert "model_3 does best after epoch 5: 52.0% of the validation photos right" in " ".join(text.split())
    assert "model_3 goes on from model_2's weights after epoch 2" in text
    assert "model_2\nfeature extraction" in text
    assert "model_3\nfine-tuning: last 10" in text
    assert not cut_off(picture)


def test_the_last_checkpoint_of_a_grandparent(make_series):
    results = make_series(
        Made("a"),
        Made("b", parent="a", unfreeze=10, checkpoint="last"),
        Made("c", parent="b", unfreeze="all"),
    )
    loss = curves(run_of(results.out, "c")).axes[0]
    assert upright_lines(loss) == [3.5, 6.5]
    np.testing.assert_array_equal(line(loss, "weights handed on").get_xdata(), [3, 5])


def test_a_run_of_its_own_has_no_line_and_no_ring(make_series):
    picture = curves(run_of(make_series(Made("a")).out, "a"))
    for axes in picture.axes:
        assert upright_lines(axes) == []
        assert len(axes.lines) == 3


def test_phases_of_one_run_are_told_apart(make_series):
    phases = [{"unfreeze": 0, "epochs": 1}, {"unfreeze": {"blocks": 2}, "epochs": 2}]
    picture = curves(run_of(make_series(Made("a", phases=phases, unfreeze={"blocks": 2})).out, "a"))
    assert upright_lines(picture.axes[0]) == [1.5]
    assert "fine-tuning: last 2 blocks" in words(picture)


def test_one_epoch(make_series):
    picture = curves(run_of(make_series(Made("a", val_loss=(0.5,))).out, "a"))
    assert picture.axes[0].get_xlim() == (0.5, 1.5)
    assert not cut_off(picture)


def test_without_validation_the_last_epoch_is_marked(make_series):
    picture = curves(run_of(make_series(Made("a", val_loss=None)).out, "a"))
    loss = picture.axes[0]
    (mark,) = line(loss, "last epoch").get_xydata()
    assert tuple(mark) == (3, pytest.approx(1 / 3))
    assert "validation" not in [each.get_label() for each in loss.lines]
    assert "a: trained for 3 epochs, without validation" in words(picture)


def test_long_names_stay_inside(make_series):
    name = "an_experiment_with_a_name_that_goes_on_and_on_$5_until_nobody_reads_it"
    results = make_series(Made("a"), Made(name, parent="a", unfreeze=f"block_{'x' * 60}"))
    assert not cut_off(curves(run_of(results.out, name)))


def test_a_run_without_history(tmp_path):
    with pytest.raises(RunError, match=r"history\.csv isn't there"):
        curves(tmp_path)
