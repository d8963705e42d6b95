"""The process that runs frozen layers ahead: `python -m unfreeze.ahead.worker`, started by `Ahead`.

Pickles come in on stdin: a sequence of fillings to work on from now on, or None to stop. To None it answers on stdout,
once all that was computed can be read: with what went wrong in the meantime, or None. It ends when stdin does.
"""

import os
import pickle
import signal
import sys
from contextlib import suppress
from itertools import takewhile
from queue import SimpleQueue
from threading import Event, Thread
from typing import Any, BinaryIO

from unfreeze.ahead.filling import Filling
from unfreeze.data.cache_folder import cache_folder
from unfreeze.data.cache_size import ensure_room
from unfreeze.text import error_in_a_line

LOWEST_PRIORITY = 19


def main() -> None:
    """Work until stdin ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C on a terminal goes to all of its processes
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a library that prints disturbs no answer
    os.nice(LOWEST_PRIORITY)
    orders, stop = SimpleQueue[Any](), Event()
    Thread(target=_listen, args=(sys.stdin.buffer, orders, stop), daemon=True).start()
    problem: str | None = None
    while (order := orders.get()) is not StopIteration:
        if order is None:
            stop.clear()
            pickle.dump(problem, answers)
            answers.flush()
            problem = None
            continue
        try:
            for filling in pickle.loads(order):
                _work(filling, stop)
        except Exception as error:  # whoever waits for the rows computes them, and meets the same error
            problem = error_in_a_line(error)


def _work(filling: Filling, stop: Event) -> None:
    chunks = list(filling.missing())
    ensure_room(cache_folder(), filling.bytes(chunks), "What frozen layers make of photos")
    for _ in filling.fill(takewhile(lambda _: not stop.is_set(), chunks)):
        pass


def _listen(pipe: BinaryIO, orders: SimpleQueue[Any], stop: Event) -> None:
    """Take orders as they come; one to stop is heard in the middle of work."""
    with suppress(EOFError, OSError):
        while True:
            order = pickle.load(pipe)
            if order is None:
                stop.set()
            orders.put(order)
    stop.set()
    orders.put(StopIteration)


if __name__ == "__main__":
    main()
