"""Series side by side, the same photos or not."""

import json
import shutil
from statistics import stdev

import pytest
from made_series import Made, seal_again

from unfreeze.errors import RunError
from unfreeze.report.compare import compare
from unfreeze.report.results import load_results
from unfreeze.report.side_by_side import side_by_side
from unfreeze.report.story import reference_sentences
from unfreeze.seals import read_sealed, write_sealed


def write_splits(out, labels=("cat", "dog") * 5, first=0):
    """Write test photos whose contents are numbered from `first`."""
    lines = [f"{number}.jpg,{first + number:064x},{label},test," for number, label in enumerate(labels)]
    (out / "splits.csv").write_text("path,sha256,label,split,rank\n" + "\n".join(lines) + "\n", encoding="utf-8")
    seal_again(out)


@pytest.fixture
def two(make_series, tmp_path):
    """Two folders with the same series."""
    make_series(Made("a", right=8), Made("b", right=7, parent="a", unfreeze=10))
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        for part in ("experiments", "results.json"):
            (shutil.copytree if part == "experiments" else shutil.copy)(tmp_path / part, tmp_path / name / part)
        write_splits(tmp_path / name)
    return tmp_path / "one", tmp_path / "two"


def test_one_series(make_series):
    comparison = compare(make_series(Made("a", right=8), Made("b", right=7)).out)
    assert [summary.name for summary in comparison.experiments] == ["a", "b"]
    assert [(pair.a, pair.b) for pair in comparison.pairs] == [("b", "a")]
    assert comparison.pair("b", "a").difference == pytest.approx(-0.1)
    assert comparison.pair("a", "b").difference == pytest.approx(0.1)
    document = json.loads(json.dumps(comparison.to_json()))
    assert set(document) == {"experiments", "pairs"}
    names = {"a", "b", "difference", "ci95", "smallest", "p_mcnemar", "p_holm", "verdict"}
    assert set(document["pairs"][0]) == names
    assert (comparison.results[0].out / "pictures" / "comparison.png").is_file()


def test_several_series(two):
    comparison = compare(*two)
    assert [summary.name for summary in comparison.experiments] == ["one/a", "one/b", "two/a", "two/b"]
    assert len(comparison.pairs) == 6
    assert comparison.pair("two/a", "one/a").difference == 0
    assert comparison.pair("two/b", "one/a").difference == pytest.approx(-0.1)


def test_photos_are_matched_by_content(two):
    one, other = two
    rows = (other / "splits.csv").read_text().splitlines()
    predictions = other / "experiments" / "a" / "seed-0" / "predictions.csv"
    lines = predictions.read_text().splitlines()
    (other / "splits.csv").write_text("\n".join([rows[0], *rows[:0:-1]]) + "\n")
    predictions.write_text("\n".join([lines[0], *lines[:0:-1]]) + "\n")
    seal_again(other)
    comparison = side_by_side(load_results(one), load_results(other))
    assert comparison.pair("two/a", "one/a").ci95 == (0.0, 0.0)  # the same photos right
    assert comparison.pair("two/b", "one/b").ci95 != (0.0, 0.0)  # as many, but others


@pytest.mark.parametrize(
    ("changed", "shared"), [({"first": 4}, 6), ({"labels": ("dog", "cat") * 5}, 0), ({"labels": ("cat", "dog") * 4}, 8)]
)
def test_other_photos_are_refused(two, changed, shared):
    write_splits(two[1], **changed)
    with pytest.raises(RunError, match=f"not tested on the same photos: 10 and [0-9]+, of which {shared} are the same"):
        compare(*two)


def test_a_missing_list_of_photos_is_named(two):
    (two[1] / "splits.csv").unlink()
    with pytest.raises(RunError, match=r"two.splits\.csv can't be read .*unfreeze run"):
        compare(*two)


def test_one_experiment_needs_no_second_photo(make_series):
    comparison = side_by_side(make_series(Made("a", right=1), n=1, val=0))
    assert (len(comparison.experiments), comparison.pairs) == (1, ())


def test_folders_of_one_name_are_told_apart(two, tmp_path):
    (tmp_path / "more").mkdir()
    shutil.copytree(two[1], tmp_path / "more" / "one")
    names = [summary.name for summary in compare(two[0], tmp_path / "more" / "one").experiments]
    assert names == [f"{two[0]}/a", f"{two[0]}/b", f"{tmp_path}/more/one/a", f"{tmp_path}/more/one/b"]


def test_predictions_cut_short_are_named(make_series):
    results = make_series(Made("a"))
    file = results.out / "experiments" / "a" / "seed-0" / "predictions.csv"
    file.write_text("\n".join(file.read_text().splitlines()[:-2]) + "\n")
    with pytest.raises(RunError, match=r"predictions\.csv has 8 photos, but the run was tested on 10"):
        side_by_side(results)


def test_splits_with_test_photos_of_their_own(make_series):
    right = {"a": (8, 7, 9), "b": (6, 5, 6)}
    runs = [Made(name, right=each, split_seed=k) for name, of in right.items() for k, each in enumerate(of)]
    comparison = side_by_side(make_series(*runs, carved=True))
    pair = comparison.pair("b", "a")
    assert pair.difference == pytest.approx(-7 / 30)
    differences = [-0.2, -0.2, -0.3]
    error = stdev(differences) * (1 / 3 + 10 / (6375 + 112)) ** 0.5
    assert pair.ci95 == pytest.approx((pair.difference - 4.303 * error, pair.difference + 4.303 * error), abs=1e-3)
    assert comparison.experiments[0].to_json()["splits"] == 3
    assert comparison.worlds == {}


def test_splits_with_the_same_test_photos_are_like_seeds(make_series):
    runs = [Made(name, right=8 - k, split_seed=k) for name in "ab" for k in range(3)]
    comparison = side_by_side(make_series(*runs))
    assert comparison.experiments[0].runs[2].split_seed == 2
    assert comparison.pair("b", "a").ci95 == (0.0, 0.0)


def test_only_splits_that_all_share_are_compared(make_series):
    runs = [Made("a", right=8), Made("a", right=5, split_seed=1), Made("b", right=7)]
    comparison = side_by_side(make_series(*runs, carved=True))
    assert comparison.pair("b", "a").difference == pytest.approx(-0.1)


def test_no_split_that_all_share(make_series):
    with pytest.raises(RunError, match="not tested on a split that all of them share"):
        side_by_side(make_series(Made("a"), Made("b", split_seed=1)))


def test_figures_of_others_are_judged_by_the_interval(make_series, tmp_path):
    make_series(Made("a", right=800), n=1000)  # 77.4 to 82.4%
    document = read_sealed(tmp_path / "results.json")
    shares = {"theirs": (0.76, None), "others": (0.78, None), "best": (0.9, 1000), "small": (0.9, 20)}
    document["references"] = {name: {"accuracy": share, "photos": n} for name, (share, n) in shares.items()}
    write_sealed(tmp_path / "results.json", document)
    comparison = compare(tmp_path)
    judged = {each["reference"]: each["verdict"] for each in comparison.to_json()["references"]}
    assert judged == {"theirs": "better", "others": "within noise", "best": "worse", "small": "within noise"}
    # 80.0% (77.41-82.36) less 90.0% (87.99-91.71): -10 - hypot(2.59, 1.71) to -10 + hypot(2.36, 2.01)
    said = "Against best (90.0% of 1,000 photos): a is worse (-10.0 points, -13.1 to -6.9)."
    assert reference_sentences(comparison)[2] == said
    assert said in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize(
    ("file", "named"),
    [("splits.csv", "splits"), ("experiments/b/seed-0/predictions.csv", "predictions"), ("results.json", "results")],
)
def test_a_changed_file_is_refused(two, file, named):
    content = (two[0] / file).read_bytes()
    (two[0] / file).write_bytes(content.replace(b"0", b"1", 1))
    with pytest.raises(RunError, match=rf"{named}\.\w+ is damaged.*Make the call of `unfreeze run` or `train`"):
        compare(two[0])
    (two[0] / file).write_bytes(content)
    compare(two[0])


@pytest.mark.parametrize("path", ["../../two/experiments/a/seed-0", "/etc", "C:/windows"])
def test_results_of_runs_that_lie_elsewhere_are_refused(two, path):
    document = read_sealed(two[0] / "results.json")
    document["experiments"][0]["path"] = path
    write_sealed(two[0] / "results.json", document)
    with pytest.raises(RunError, match=r"results\.json is damaged.*the path .* (is an absolute path|leads out)"):
        compare(two[0])
