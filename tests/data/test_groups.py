"""Groups stay whole, in carved splits of nearly the wished size."""

import hashlib
import itertools
from collections import Counter, defaultdict
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unfreeze.data.carving import carve, in_order, share_out
from unfreeze.data.catalog import Catalog, Photo
from unfreeze.data.groups import take_groups
from unfreeze.data.items import SplitName
from unfreeze.data.splits import split


def photo(number: int, label: str, group: str | None, given: SplitName | None = None) -> Photo:
    path = f"{label}/{number:05}.jpg"
    sha256 = hashlib.sha256(path.encode()).hexdigest()
    return Photo(path, Path(), label, given, label, sha256, sha256, 1, 1, group)


def catalog_of(photos: Sequence[Photo]) -> Catalog:
    given = frozenset(photo.split for photo in photos if photo.split)
    return Catalog("made", Path(), tuple(sorted({each.label for each in photos})), tuple(photos), (), None, given)


PHOTOS = st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 12)), min_size=1, max_size=60).map(
    lambda drawn: [photo(n, label, f"g{group}" if group else None) for n, (label, group) in enumerate(drawn)]
)


@settings(deadline=None, derandomize=True)
@given(PHOTOS, st.integers(0, 3))
def test_no_group_ever_stands_in_two_splits(photos: list[Photo], split_seed: int) -> None:
    where = defaultdict(set)
    splits = split(catalog_of(photos), 0.15, split_seed)
    for row, each in zip(splits.rows, splits.photos, strict=True):
        if each.group:
            where[each.group].add(row.split)
    assert all(len(found) == 1 for found in where.values())


@settings(deadline=None, derandomize=True)
@given(PHOTOS, st.sampled_from([Fraction(3, 20), Fraction(1, 4)]))
def test_no_single_group_more_or_less_would_be_nearer(photos: list[Photo], share: Fraction) -> None:
    chosen = carve(photos, share, 0)
    wished = share_out(Counter((each.label, each.stratum) for each in photos), share)

    def misses(paths: set[str]) -> tuple[int, int]:
        """Count classes without a photo on one side, and photos too many or too few."""
        taken = Counter(each.label for each in photos if each.path in paths)
        everything = Counter(each.label for each in photos)
        off = sum(abs(taken[label] - wished[label, label]) for label in everything)
        empty = sum(taken[label] == everything[label] for label in everything) * 3
        empty += sum(taken[label] == 0 and wished[label, label] > 0 for label in everything)
        return empty, off + abs(taken.total() - sum(wished.values()))

    groups = defaultdict(set)
    for each in photos:
        groups[each.group or each.path].add(each.path)
    assert all(misses(chosen ^ group) >= misses(chosen) for group in groups.values())


def test_groups_that_add_up_give_the_exact_size() -> None:
    photos = [photo(number, "ab"[number % 2], f"{number % 2}-{number // 6}") for number in range(240)]
    splits = split(catalog_of(photos), 0.15, 0)
    assert splits.counts() == {"train": 153, "val": 27, "test": 60, "left_out": 0}
    assert Counter(each.label for each in splits.test) == {"a": 30, "b": 30}


def test_mixed_groups_come_within_a_photo_of_the_best_choice() -> None:
    groups = [
        {"a": a, "b": b} for a, b in [(3, 1), (2, 2), (5, 0), (1, 4), (2, 3), (4, 4), (1, 1), (3, 2), (2, 5), (6, 1)]
    ]
    strata = [{(label, label): count for label, count in group.items() if count} for group in groups]
    sizes = Counter({stratum: sum(group.get(stratum, 0) for group in strata) for stratum in [("a", "a"), ("b", "b")]})
    wished = share_out(sizes, Fraction(1, 4))

    def off(numbers: Sequence[int]) -> int:
        taken = Counter[tuple[str, str]]()
        for number in numbers:
            taken.update(strata[number])
        return sum(abs(taken[s] - wished[s]) for s in wished) + abs(taken.total() - sum(wished.values()))

    best = min(off(choice) for count in range(11) for choice in itertools.combinations(range(10), count))
    assert best == 0
    assert off(take_groups(strata, wished)) <= 2  # a photo off counts in its stratum and in all


def test_photos_without_a_group_make_up_for_groups() -> None:
    photos = [photo(number, "a", f"{number // 7}" if number < 70 else None) for number in range(100)]
    assert len(carve(photos, Fraction(1, 4), 0)) == 25


def test_groups_of_one_photo_are_no_groups() -> None:
    alone = [photo(number, "abc"[number % 3], None) for number in range(100)]
    grouped = [photo(number, "abc"[number % 3], f"g{number}") for number in range(100)]
    assert carve(alone, Fraction(1, 4), 3) == carve(grouped, Fraction(1, 4), 3)


def test_names_of_groups_have_no_say_and_seeds_have() -> None:
    first = [photo(number, "a", f"{number // 4}") for number in range(80)]
    renamed = [photo(number, "a", f"other {99 - number // 4}") for number in range(80)]
    assert carve(first, Fraction(1, 4), 0) == carve(renamed, Fraction(1, 4), 0)
    assert carve(first, Fraction(1, 4), 0) != carve(first, Fraction(1, 4), 1)


def test_the_last_groups_of_the_order_are_taken() -> None:
    photos = [photo(number, "a", f"{number // 4}") for number in range(80)]
    groups = list(dict.fromkeys(each.group for each in in_order(photos, 0)))
    chosen = carve(photos, Fraction(1, 4), 0)
    assert {each.group for each in photos if each.path in chosen} == set(groups[-5:])


@pytest.mark.parametrize("split_seed", range(3))
def test_validation_takes_whole_groups_where_test_is_given(split_seed: int) -> None:
    training = [photo(number, "ab"[number % 2], f"{number // 5}", "train") for number in range(100)]
    tested = [photo(number, "ab"[number % 2], f"t{number}", "test") for number in range(100, 120)]
    splits = split(catalog_of(training + tested), 0.15, split_seed)
    groups = {
        name: {each.group for each in photos} for name, photos in (("val", splits.val), ("train", splits.train()))
    }
    assert not groups["val"] & groups["train"]
    assert len(splits.val) == 15


def test_a_class_of_one_group_stays_in_training_whole() -> None:
    photos = [photo(number, "a", "all") for number in range(8)] + [
        photo(number, "b", f"{number}") for number in range(40)
    ]
    splits = split(catalog_of(photos), 0.15, 0)
    assert {each.label for each in splits.test} == {each.label for each in splits.val} == {"b"}
    assert sum(each.label == "a" for each in splits.train()) == 8
