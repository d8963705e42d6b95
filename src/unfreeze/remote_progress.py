"""Progress of work in other processes: they post it on a board, and whoever is on top shows what stands there."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from time import monotonic

from unfreeze.progress import Advance, task

POST_SECONDS = 0.5
"""Least time between two posts of one process, unless work begins or ends."""

State = Sequence[tuple[str, int, int]]
"""What a process is doing: title, steps done, steps in all."""


class Board:
    """What other processes are doing, by the name of what they work on, and the news that nobody has read yet."""

    def __init__(self) -> None:
        self._states: dict[str, State] = {}
        self._news: list[str] = []

    def post(self, name: str, state: State, news: Sequence[str]) -> None:
        """Take in what a process is doing, in place of what it did before."""
        self._states[name] = state
        self._news += news

    def look(self) -> tuple[dict[str, State], list[str]]:
        """Give all states, and the news since the last look."""
        news, self._news = self._news, []
        return self._states, news


class Posting:
    """Reports progress to a board.

    Args:
        post: gets state and news.
    """

    def __init__(self, post: Callable[[State, Sequence[str]], object]):
        self._post, self._posted = post, 0.0
        self._running: dict[object, tuple[str, int, int]] = {}

    @contextmanager
    def task(self, title: str, total: int) -> Iterator[Advance]:
        """Open a task of `total` steps."""
        key, done = object(), 0

        def advance(steps: int) -> None:
            nonlocal done
            done += steps
            self._running[key] = title, done, total
            if monotonic() - self._posted >= POST_SECONDS:
                self._flush()

        self._running[key] = title, 0, total
        self._flush()
        try:
            yield advance
        finally:
            del self._running[key]
            self._flush()

    def say(self, message: str) -> None:
        """Hand on one line of news."""
        self._flush(message)

    def _flush(self, *news: str) -> None:
        self._posted = monotonic()
        self._post(list(self._running.values()), news)


class Mirror:
    """Shows what stands on a board with the current reporter: one bar for all processes that do the same."""

    def __init__(self) -> None:
        self._bars: dict[str, tuple[ExitStack, Advance, int, int]] = {}

    def show(self, states: Mapping[str, State]) -> None:
        """Bring the bars up to date; without states all of them go."""
        sums: defaultdict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
        for state in states.values():
            for title, done, total in state:
                sums[title] = sums[title][0] + done, sums[title][1] + total
        for title, (bar, _, shown, of) in list(self._bars.items()):
            done, total = sums.get(title, (0, 0))
            if total != of or done < shown:  # other processes than before
                bar.close()
                del self._bars[title]
        for title, (done, total) in sums.items():
            if title not in self._bars:
                bar = ExitStack()
                self._bars[title] = bar, bar.enter_context(task(title, total)), 0, total
            bar, advance, shown, _ = self._bars[title]
            if done > shown:
                advance(done - shown)
            self._bars[title] = bar, advance, done, total
