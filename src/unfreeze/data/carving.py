"""Which photos a carved split takes: exact sizes, even shares, and an order that only content decides."""

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Literal

from unfreeze.data.catalog import Photo
from unfreeze.data.groups import Stratum, take_groups


def carve(photos: Sequence[Photo], share: Fraction, split_seed: int) -> set[str]:
    """Choose photos for a split: the last ones of each stratum, in the seed's order; groups go as a whole.

    Args:
        photos: to choose from.
        share: of them, from 0 up to but not including 1.
        split_seed: names the order.

    Returns:
        Paths of the chosen photos, as many as `share_out` says; where there are groups, as near to that as they come.
    """
    groups = _groups(in_order(photos, split_seed))
    targets = share_out(Counter((photo.label, photo.stratum) for photo in photos), share)
    taken = take_groups([Counter((photo.label, photo.stratum) for photo in group) for group in groups], targets)
    return {photo.path for number in taken for photo in groups[number]}


def _groups(photos: Iterable[Photo]) -> list[list[Photo]]:
    """Gather photos by group, in the order of each group's first photo."""
    groups: dict[tuple[str | None, str], list[Photo]] = defaultdict(list)
    for photo in photos:
        groups[photo.group, "" if photo.group is not None else photo.path].append(photo)
    return list(groups.values())


def in_order(photos: Iterable[Photo], split_seed: int) -> list[Photo]:
    """Sort photos by a hash of seed and content, so that adding one never reorders the others."""

    def place(photo: Photo) -> tuple[str, str]:
        return hashlib.sha256(f"{split_seed}:{photo.sha256}".encode()).hexdigest(), photo.path

    return sorted(photos, key=place)


def share_out(sizes: Mapping[Stratum, int], share: Fraction) -> dict[Stratum, int]:
    """Deal round(share * n) places to strata in proportion, by largest remainder.

    A class of two or more photos gets at least one place, and no class gets as many as it has photos, even
    where proportion alone says otherwise; then the strata furthest from their share make up for it.

    Args:
        sizes: photos a stratum.
        share: of them, from 0 up to but not including 1; 0 gives no places.

    Returns:
        Places a stratum.
    """
    counts = {stratum: math.floor(share * size) for stratum, size in sizes.items()}
    if share == 0:
        return counts
    class_sizes, taken = Counter[str](), Counter[str]()
    for (label, _), size in sizes.items():
        class_sizes[label] += size
    for (label, _), count in counts.items():
        taken[label] += count
    least = {label: min(1, size - 1) for label, size in class_sizes.items()}
    most = {label: size - 1 for label, size in class_sizes.items()}

    def shortfall(stratum: Stratum) -> int:
        return share.numerator * sizes[stratum] - share.denominator * counts[stratum]

    def change(step: Literal[1, -1], strata: Iterable[Stratum]) -> bool:
        """Give a place to the neediest of `strata`, or take one from the richest; False where none can."""
        able = [stratum for stratum in sorted(strata) if 0 <= counts[stratum] + step <= sizes[stratum]]
        if not able:
            return False
        chosen = max(able, key=lambda stratum: step * shortfall(stratum))
        counts[chosen] += step
        taken[chosen[0]] += step
        return True

    for label in sorted(class_sizes):
        own = [stratum for stratum in sizes if stratum[0] == label]
        while taken[label] < least[label] and change(1, own):
            pass
    places = round(share * sum(sizes.values()))
    while taken.total() < places and change(1, [s for s in sizes if taken[s[0]] < most[s[0]]]):
        pass
    while taken.total() > places and change(-1, [s for s in sizes if taken[s[0]] > least[s[0]]]):
        pass
    return counts
