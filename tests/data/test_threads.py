"""Work in threads: in order, few results at a time."""

import time

import pytest

from unfreeze.data.threads import in_order


def test_few_results_wait_in_memory() -> None:
    made, used, most = 0, 0, 0

    def make(number: int) -> int:
        nonlocal made, most
        made += 1
        most = max(most, made - used)
        return number

    results = []
    for number in in_order(make, range(300), 3):
        used += 1
        results.append(number)
    assert results == list(range(300))
    assert most <= 3 * 4 + 3


def test_slow_work_does_not_change_the_order() -> None:
    def work(number: int) -> int:
        time.sleep(0.02 if number % 5 == 0 else 0)
        return number * number

    assert list(in_order(work, range(20), 4)) == [number * number for number in range(20)]


def test_an_error_in_a_thread_comes_out_in_its_place() -> None:
    results = in_order(lambda number: 6 // (3 - number), range(9), 2)
    assert [next(results) for _ in range(3)] == [2, 3, 6]
    with pytest.raises(ZeroDivisionError):
        next(results)
