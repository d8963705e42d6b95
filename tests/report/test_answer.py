"""Which model a report says to ship, and how it says what that is worth."""

from made_series import Made

from unfreeze.report.answer import Answer, answer, seconds_spent
from unfreeze.report.results import load_results
from unfreeze.report.side_by_side import side_by_side
from unfreeze.seals import read_sealed, write_sealed


def answered(results) -> Answer:
    found = answer(side_by_side(results), largest_class=0.5)
    assert found
    return found


def test_validation_photos_choose_and_test_photos_judge(make_series):
    found = answered(
        make_series(
            Made("frozen", right=800, val_accuracy=0.81),
            Made("tuned", right=850, parent="frozen", unfreeze=20, val_accuracy=0.84, train_images=7500, seconds=80),
            n=1000,
        )
    )
    assert found.ship.name == "tuned"
    assert not found.chosen_on_test
    assert found.headline == "Ship tuned: 85.0% of 1,000 test photos right."
    assert found.accuracy == (
        "The 95% interval is 82.7-87.1%; always answering with the largest class would get 50.0% right. "
        "Validation photos chose it, so the figure is fair."
    )
    assert found.certainty == "On the test photos it is better than frozen, by 5.0 points (3.7 to 6.4)."
    assert found.cost == (
        "efficientnet_lite0, fine-tuning: last 20: it cost 7,500 training photos and 113 seconds, and 112 more photos "
        "for validation; frozen, from which it starts, is counted in."
    )


def test_a_luckier_test_figure_does_not_choose(make_series):
    found = answered(
        make_series(Made("a", right=851, val_accuracy=0.8), Made("b", right=850, val_accuracy=0.9), n=1000)
    )
    assert found.ship.name == "b"
    assert "within noise of a" in found.certainty


def test_one_that_test_photos_hold_better_is_named(make_series):
    found = answered(
        make_series(Made("a", right=900, val_accuracy=0.8), Made("b", right=850, val_accuracy=0.9), n=1000)
    )
    assert found.ship.name == "b"
    assert found.certainty == "Look twice: on the test photos a did better, by 5.0 points (3.7 to 6.4)."


def test_as_good_and_cheaper(make_series):
    found = answered(
        make_series(
            Made("few", right=849, val_accuracy=0.8, train_images=75, seconds=9),
            Made("bad", right=500, val_accuracy=0.4),
            Made("worse", right=400, val_accuracy=0.3),
            Made("many", right=850, val_accuracy=0.9, train_images=7500),
            n=1000,
        )
    )
    assert found.ship.name == "many"
    assert found.certainty == (
        "On the test photos it is better than bad and worse; bad, the closest, is 35.0 points (32.1 to 37.9) behind. "
        "But it is within noise of few: a difference under 0.6 points would mostly not have shown; few is as good a "
        "choice and cheaper (75 training photos and 9 seconds)."
    )


def test_equal_validation_accuracy_is_decided_by_loss(make_series, tmp_path):
    results = make_series(Made("a", right=8), Made("b", right=7))
    content = read_sealed(tmp_path / "results.json")
    for entry, loss in zip(content["experiments"], (0.7, 0.5), strict=True):
        entry["val"]["loss"] = loss
    write_sealed(tmp_path / "results.json", content)
    assert answered(results).ship.name == "a"
    assert answered(load_results(tmp_path)).ship.name == "b"


def test_without_validation_of_its_own_the_figure_is_too_good(make_series):
    runs = Made("a", right=8), Made("b", right=7)
    found = answered(make_series(*runs, validation="test"))
    assert (found.ship.name, found.chosen_on_test) == ("a", True)
    assert found.accuracy.endswith("The test photos chose epochs and model, so this is too good.")


def test_no_validation_at_all(make_series):
    found = answered(
        make_series(Made("a", right=7, val_loss=None), Made("b", right=8, val_loss=None), validation=0, val=0)
    )
    assert (found.ship.name, found.chosen_on_test) == ("b", True)
    assert found.accuracy.endswith("The test photos themselves chose it, so this is a little too good.")


def test_as_is_comes_first_only_if_it_is_clearly_better(make_series):
    as_is = Made("as_is", right=995, kind="as_is", train_images=None)
    found = answered(make_series(as_is, Made("a", right=900), n=1000))
    assert (found.ship.name, found.cost) == ("as_is", "It costs nothing: efficientnet_lite0 is used as it is.")


def test_as_is_within_noise_is_the_cheaper_choice(make_series):
    as_is = Made("as_is", right=901, kind="as_is", train_images=None, seconds=3)
    found = answered(make_series(as_is, Made("a", right=900), n=1000))
    assert found.ship.name == "a"
    assert found.certainty.endswith("as_is is as good a choice and cheaper (0 training photos and 3 seconds).")


def test_one_experiment_alone(make_series):
    found = answered(make_series(Made("a", right=8)))
    assert found.certainty == "There is no other experiment to compare it with."
    assert "fair" not in found.accuracy


def test_nothing_tested(make_series):
    assert answer(side_by_side(make_series(Made("a", tested=False)))) is None


def test_seeds_and_ancestors_are_counted(make_series):
    runs = [
        Made(name, seed=seed, parent=parent, seconds=10 + seed)
        for name, parent in (("a", None), ("b", "a"), ("c", "b"))
        for seed in (0, 1)
    ]
    comparison = side_by_side(make_series(*runs))
    assert seconds_spent(comparison.experiments[2], comparison) == 3 * 10.5
