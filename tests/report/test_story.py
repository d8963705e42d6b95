"""A series in sentences, with intervals worked out by hand."""

from made_series import Made

from unfreeze.report.side_by_side import side_by_side
from unfreeze.report.story import story


def told(results):
    return story(side_by_side(results))


def test_a_child_is_compared_with_its_parent(make_series):
    results = make_series(
        Made("practice_0", right=800),
        Made("practice_20", right=850, parent="practice_0", unfreeze=20),
        Made("practice_30", right=851, parent="practice_0", unfreeze=30),
        n=1000,
    )
    # 50 photos more of 1,000: 0.05 +- 1.96 sqrt(0.05 * 0.95 / 999), or 3.6 to 6.4; a bootstrap is not symmetric
    assert told(results) == [
        "practice_0 (feature extraction, 3 epochs) got 80.0% (77.4-82.4) of 1,000 test photos right.",
        "practice_20 (fine-tuning: last 20 from practice_0, 3 epochs) "
        "got 85.0% (82.7-87.1) of 1,000 test photos right: "
        "5.0 points better than practice_0 (3.7 to 6.4).",
        "practice_30 (fine-tuning: last 30 from practice_0, 3 epochs) "
        "got 85.1% (82.8-87.2) of 1,000 test photos right: "
        "5.1 points better than practice_0 (3.8 to 6.5).",
        "Of all, practice_30 did best: within noise of practice_20 (+0.1 points, +0.0 to +0.3).",
    ]


def test_seeds_are_taken_together(make_series):
    parents = [Made("a", right=right, seed=seed) for seed, right in enumerate((700, 720, 740))]
    children = [
        Made("b", right=right, seed=seed, parent="a", unfreeze=10) for seed, right in enumerate((600, 620, 640))
    ]
    last = told(make_series(*parents, *children, n=1000))
    # 60 photos lost by all seeds, 40 by two, 40 by one: variance 0.0822 - 0.1**2, so 10 +- 1.67 points
    assert "10.0 points worse than a (8.4 to 11.7)" in last[1]
    assert last[2].startswith("Of all, a did best: 10.0 points better than b")


def test_what_was_not_tested_is_left_out(make_series):
    assert len(told(make_series(Made("a"), Made("b", tested=False, parent="a", unfreeze=1)))) == 1
