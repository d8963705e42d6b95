"""Seeds taken together, against figures worked out by hand."""

import pytest
from made_series import Made

from unfreeze.report.summary import summarize


def test_three_seeds(make_series):
    results = make_series(
        Made("b", right=7, seed=0, seconds=10),
        Made("b", right=8, seed=1, seconds=20),
        Made("b", right=9, seed=2, seconds=60),
        Made("a", right=5),
    )
    b, a = summarize(results)
    assert (b.name, a.name) == ("b", "a")  # the recipe's order, not the alphabet's
    assert b.accuracy is not None
    assert (b.accuracy.mean, b.accuracy.sd) == (pytest.approx(0.8), pytest.approx(0.1))
    # Wilson: 0.490 to 0.943. Student's t: 4.303 * 0.1 / sqrt(3) = 0.248. Together: 0.8 - hypot(0.310, 0.248)
    assert b.ci95 == pytest.approx((0.403, 1.0), abs=0.001)
    assert b.seconds.mean == 30
    assert [run.seed for run in b.runs] == [0, 1, 2]
    assert b.to_json() == {
        "name": "b",
        "seeds": 3,
        "splits": 1,
        "accuracy": {"mean": pytest.approx(0.8), "sd": pytest.approx(0.1), "ci95": list(b.ci95 or ())},
    }


def test_one_seed_has_its_own_interval_and_no_spread(make_series):
    results = make_series(Made("a", right=7))
    (summary,) = summarize(results)
    test = results.experiments[0].test
    assert test is not None
    assert summary.ci95 == test.ci95
    assert summary.accuracy is not None
    assert summary.accuracy.sd is None


def test_runs_that_did_not_read_the_test_set_are_left_out_of_its_figures(make_series):
    results = make_series(Made("a", right=7), Made("a", seed=1, tested=False), Made("b", tested=False))
    a, b = summarize(results)
    assert a.accuracy is not None
    assert (a.accuracy.mean, a.accuracy.sd) == (pytest.approx(0.7), None)
    assert (b.accuracy, b.ci95, b.macro_f1, b.nll) == (None, None, None, None)
    assert b.to_json() == {"name": "b", "seeds": 1, "splits": 1, "accuracy": None}
