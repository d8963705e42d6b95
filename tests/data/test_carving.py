"""Sizes of carved splits are exact and proportional; their members depend on content and seed alone."""

from collections import Counter
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unfreeze.data.carving import carve, in_order, share_out
from unfreeze.data.catalog import Photo

STRATA = st.tuples(st.sampled_from("abcd"), st.sampled_from("xyz"))
SHARES = st.sampled_from([Fraction(1, 100), Fraction(3, 20), Fraction(1, 4), Fraction(1, 2), Fraction(9, 10)])


def photo(number: int, label: str = "a", stratum: str = "") -> Photo:
    return Photo(f"{label}/{number:05}.jpg", Path(), label, None, stratum or label, f"{label}{number}", "", 1, 1)


def largest_remainder(sizes: list[int], share: Fraction) -> list[int]:
    """Work the method out in floating point, from its definition."""
    quotas = np.array([float(share * size) for size in sizes])
    counts = np.floor(quotas + 1e-9)
    left = int(round(share * sum(sizes)) - counts.sum())
    counts[np.argsort(-(quotas - counts).round(9), kind="stable")[:left]] += 1
    return [int(count) for count in counts]


@settings(deadline=None, derandomize=True)
@given(st.lists(st.integers(20, 400), min_size=1, max_size=12), SHARES.filter(lambda share: share > 0.1))
def test_large_classes_share_by_largest_remainder(sizes: list[int], share: Fraction) -> None:
    strata = {(f"class {number:02}", ""): size for number, size in enumerate(sizes)}
    assert list(share_out(strata, share).values()) == largest_remainder(sizes, share)


@settings(deadline=None, derandomize=True)
@given(st.dictionaries(STRATA, st.integers(1, 40), min_size=1), SHARES)
def test_counts_hold_every_bound_and_the_exact_total_where_both_can(
    sizes: dict[tuple[str, str], int], share: Fraction
) -> None:
    counts = share_out(sizes, share)
    class_sizes, taken = Counter[str](), Counter[str]()
    for stratum, size in sizes.items():
        assert 0 <= counts[stratum] <= size
        class_sizes[stratum[0]] += size
        taken[stratum[0]] += counts[stratum]
    for label, size in class_sizes.items():
        assert min(1, size - 1) <= taken[label] <= size - 1
    least = sum(min(1, size - 1) for size in class_sizes.values())
    most = sum(size - 1 for size in class_sizes.values())
    assert taken.total() == min(max(round(share * class_sizes.total()), least), most)


def test_elpvs_strata_give_exactly_656_test_photos() -> None:
    sizes = {
        ("functional", "mono 0.00"): 588,
        ("functional", "mono 0.33"): 117,
        ("defective", "mono 0.67"): 56,
        ("defective", "mono 1.00"): 313,
        ("functional", "poly 0.00"): 920,
        ("functional", "poly 0.33"): 178,
        ("defective", "poly 0.67"): 50,
        ("defective", "poly 1.00"): 402,
    }
    counts = share_out(sizes, Fraction(1, 4))
    assert sum(counts.values()) == 656
    assert all(abs(counts[stratum] - size / 4) < 1 for stratum, size in sizes.items())


def test_a_small_class_gets_a_place_from_the_one_that_has_most_over_its_share() -> None:
    assert share_out({("big", ""): 97, ("small", ""): 3}, Fraction(1, 10)) == {
        ("big", ""): 9,
        ("small", ""): 1,
    }


def test_places_of_small_classes_come_from_those_furthest_over_their_share() -> None:
    # 15% of 84 are 13 places; a's exact share is 6, b's 5.7, and c, d and e must have one each.
    sizes = {("a", ""): 40, ("b", ""): 38, ("c", ""): 2, ("d", ""): 2, ("e", ""): 2}
    assert list(share_out(sizes, Fraction(3, 20)).values()) == [5, 5, 1, 1, 1]


def test_a_single_photo_is_never_carved() -> None:
    assert share_out({("one", ""): 1, ("many", ""): 9}, Fraction(9, 10)) == {("one", ""): 0, ("many", ""): 8}


def test_share_0_takes_nothing() -> None:
    assert carve([photo(number) for number in range(10)], Fraction(0), 0) == set()


@pytest.mark.parametrize("split_seed", [0, 1])
def test_the_last_of_the_order_are_taken(split_seed: int) -> None:
    photos = [photo(number) for number in range(40)]
    order = in_order(photos, split_seed)
    assert carve(photos, Fraction(1, 4), split_seed) == {each.path for each in order[30:]}


def test_the_order_is_that_of_sha256_of_seed_and_content() -> None:
    # From a shell: for n in 0 1 2 3 4; do printf '7:a%d' $n | sha256sum; done
    photos = [photo(number) for number in range(5)]
    expected = ["a4", "a0", "a3", "a1", "a2"]
    assert [each.sha256 for each in in_order(photos, 7)] == expected


def test_seeds_give_other_orders() -> None:
    photos = [photo(number) for number in range(20)]
    assert in_order(photos, 0) != in_order(photos, 1)


def test_newcomers_never_reorder_those_that_were_there() -> None:
    old = [photo(number) for number in range(100)]
    new = in_order([*old, *(photo(number) for number in range(100, 130))], 0)
    assert [each for each in new if each in old] == in_order(old, 0)


def test_the_order_is_uniform() -> None:
    # Where photo 0 lands among 10 under 2,000 seeds; chi-square with 9 degrees of freedom, p = 0.001.
    photos = [photo(number) for number in range(10)]
    places = Counter(in_order(photos, seed).index(photos[0]) for seed in range(2000))
    assert sum((places[place] - 200) ** 2 / 200 for place in range(10)) < 27.9
