"""Settings in words."""

import pytest

from unfreeze.report.wording import method, percent, percent_range, shorten, unfrozen


@pytest.mark.parametrize(
    ("unfreeze", "said"),
    [
        (None, "none"),
        (0, "none"),
        (10, "last 10"),
        ("all", "all"),
        ("block15", "from block15"),
        ({"blocks": 1}, "last block"),
        ({"blocks": 2}, "last 2 blocks"),
        ([0, 10, "all"], "last 10, then all"),
    ],
)
def test_unfrozen(unfreeze, said):
    assert unfrozen(unfreeze) == said


def test_method():
    assert method("as_is", None) == "as is"
    assert method("feature_extraction", 0) == "feature extraction"
    assert method("fine_tuning", {"blocks": 2}) == "fine-tuning: last 2 blocks"


def test_shares():
    assert percent(0.85366) == "85.4%"
    assert percent_range(0.8245, 1.0) == "82.5-100.0"


def test_shorten_keeps_both_ends():
    assert shorten("chicken_curry", 13) == "chicken_curry"
    assert shorten("chicken_curry", 8) == "chic…rry"
    assert len(shorten("chicken_curry", 7)) == 7
    assert shorten("chicken_curry", 1) == "…"
