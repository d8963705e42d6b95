"""Which groups of photos a carved split takes, where a group goes as a whole or not at all."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

Stratum = tuple[str, str]
"""Class and the source's stratum within it: what a carved split has its share of."""

Kind = tuple[tuple[Stratum, int], ...]
"""Photos of each stratum that a group has."""


def take_groups(groups: Sequence[Mapping[Stratum, int]], targets: Mapping[Stratum, int]) -> list[int]:
    """Choose groups whose photos come near to the wished numbers.

    From the last one on, each group is taken that still fits. If photos are missing then, groups are added, removed
    and exchanged one by one as long as that brings the split nearer to the numbers. Photos that are groups of their
    own always fit, so without larger groups the last ones of each stratum are taken, exactly as many as wished.

    Args:
        groups: photos of each stratum, a group.
        targets: wished photos of each stratum, as `share_out` gives them.

    Returns:
        Numbers of the groups to take, sorted.
    """
    room = dict(targets)
    taken: set[int] = set()
    for number in reversed(range(len(groups))):
        if all(count <= room[stratum] for stratum, count in groups[number].items()):
            taken.add(number)
            for stratum, count in groups[number].items():
                room[stratum] -= count
    if any(room.values()):
        taken = _exchange(groups, targets, taken)
    return sorted(taken)


def _exchange(groups: Sequence[Mapping[Stratum, int]], targets: Mapping[Stratum, int], taken: set[int]) -> set[int]:
    """Improve a choice; among groups of equal numbers the last ones come first, and the first ones go first."""
    members: dict[Kind, list[int]] = defaultdict(list)
    for number, group in enumerate(groups):
        members[tuple(sorted(group.items()))].append(number)
    kinds = sorted(members)
    chosen = {kind: [number for number in members[kind] if number in taken] for kind in kinds}
    counts = _nearest(
        kinds, [len(members[kind]) for kind in kinds], [len(chosen[kind]) for kind in kinds], sorted(targets.items())
    )
    for kind, count in zip(kinds, counts, strict=True):
        free = [number for number in members[kind] if number not in taken]
        more = count - len(chosen[kind])
        chosen[kind] = chosen[kind] + free[len(free) - more :] if more > 0 else chosen[kind][-more:]
    return {number for numbers in chosen.values() for number in numbers}


def _nearest(
    kinds: Sequence[Kind], there: Sequence[int], taken: Sequence[int], targets: Sequence[tuple[Stratum, int]]
) -> list[int]:
    """Change how many groups of each kind are taken until no addition, removal or exchange brings them nearer.

    Near means few photos too many or too few, summed over the strata, and once more in all; before that, no class
    loses its last photo to the split, and none that should be in it stays out.
    """
    strata = [stratum for stratum, _ in targets]
    sizes = np.array([[dict(kind).get(stratum, 0) for stratum in strata] for kind in kinds], float)
    wished = np.array([count for _, count in targets], float)
    limits, counts = np.array(there), np.array(taken)
    photos = limits @ sizes
    classes = sorted({label for label, _ in strata})
    belongs = np.array([[label == name for name in classes] for label, _ in strata], float)

    def distance(carved: np.ndarray) -> np.ndarray:
        """Rate carved photos [..., strata]: the lower, the nearer."""
        of_class = carved @ belongs
        missing = ((of_class == 0) & (wished @ belongs > 0)).sum(axis=-1)
        emptied = ((of_class == photos @ belongs) & (of_class > 0)).sum(axis=-1)
        misses = np.abs(carved - wished).sum(axis=-1) + np.abs(carved.sum(axis=-1) - wished.sum())
        return misses + (2 * photos.sum() + 1) * (missing + (len(classes) + 1) * emptied)

    # A step adds a group of a kind, or removes one, or (the last) does nothing; two steps make an exchange.
    changes = np.concatenate([sizes, -sizes, np.zeros((1, len(strata)))])
    nearest, improved = distance(counts @ sizes), True
    while nearest and improved:
        improved = False
        for first in range(len(changes)):
            carved, possible = counts @ sizes, np.concatenate([counts < limits, counts > 0, [True]])
            if not possible[first] or not changes[first][carved != wished].any():
                continue  # one of the two steps must touch a stratum that is off
            possible[first] = False
            distances = np.where(possible, distance(carved + changes[first] + changes), nearest)
            second = int(distances.argmin())
            if distances[second] < nearest:
                nearest, improved = distances[second], True
                for step in (first, second):
                    if step < 2 * len(kinds):
                        counts[step % len(kinds)] += 1 if step < len(kinds) else -1
    return counts.tolist()
