"""A series on Ray: the tasks of `tasks.py` spread over processes and machines.

The process that was called keeps the lock on OUT, hands the tasks out and shows their progress. A task runs with as
many threads as it would have here, because the number of threads can change bits; what does not depend on them runs
with one. When a node dies its tasks run again on others and go on from what is on disk.
"""

import importlib.util
import logging
import os
import re
import secrets
import signal
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import keras

from unfreeze.backend import set_threads, thread_count
from unfreeze.data.cache_folder import cache_folder
from unfreeze.data.cache_size import keep_newer
from unfreeze.data.catalog import Catalog, joined
from unfreeze.data.items import Source
from unfreeze.errors import RunError, UnfreezeError
from unfreeze.gpu import on_gpu
from unfreeze.progress import reporting_to, say, task
from unfreeze.remote_progress import Board, Mirror, Posting
from unfreeze.series.photos import read_photos
from unfreeze.series.tasks import Extract, Series, Step, Task, execute
from unfreeze.text import error_in_a_line

HERE = "ray"
"""The address that stands for a cluster of this machine's processors, for as long as the call takes."""

ADDRESS = re.compile(r"(?:ray://)?(?P<host>[^/:]+|\[[0-9a-fA-F:]+\]):(?P<port>\d+)")
CONNECT_SECONDS = 5.0
LOOK_SECONDS = 0.5

RETRIES = 5
"""How often a task runs again because its process or node died; a task that kills its process itself ends the run."""

PARTS_PER_PROCESSOR = 2
"""More parts are shared out more evenly; fewer spare the second or so that each takes to begin."""


@dataclass(frozen=True)
class Place:
    """What a process elsewhere must see to be of use.

    Attributes:
        cwd: folder that relative paths start from.
        seen: files in OUT and in the cache that are there while the call goes on, with what the folders are.
        threads: that a task may use.
    """

    cwd: str
    seen: tuple[tuple[str, Path], ...]
    threads: int

    def enter(self) -> None:
        """Make this process one of the series' own.

        Raises:
            RunError: a folder can't be seen here.
        """
        set_threads(self.threads)
        with suppress(OSError):
            os.chdir(self.cwd)
        for what, file in self.seen:
            if not file.is_file():
                raise RunError(
                    f"{what} is {file.parent}, which node {socket.gethostname()} does not see, or sees another folder "
                    "of that name. Put it on a disk that all nodes have under the same path (--out for results, "
                    "UNFREEZE_CACHE for the cache)."
                )
        keep_newer(self.seen[0][1])


@contextmanager
def ray_cluster(address: str) -> Iterator["Cluster"]:
    """Connect to Ray for as long as the block takes.

    Args:
        address: `ray` for this machine alone, HOST:PORT for a cluster that this machine is part of, or
            ray://HOST:PORT for another.

    Raises:
        RunError: Ray is not installed, or can't be reached or started.
    """
    if importlib.util.find_spec("ray") is None:
        raise RunError(f"--on {address} needs Ray, which is not installed: pip install 'unfreeze[ray]'.")
    _ensure_reachable(address)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    import ray

    own = {"num_cpus": thread_count(), "include_dashboard": False} if address == HERE else {}
    try:
        with _signals_kept():
            ray.init("local" if address == HERE else address, log_to_driver=False, logging_level=logging.ERROR, **own)
    except Exception as error:  # Ray has no common class for what can go wrong here
        raise RunError(
            f"--on {address}: Ray can't be {'started' if address == HERE else 'reached'} ({error_in_a_line(error)})."
        ) from error
    try:
        with _token(cache_folder()) as in_cache:
            yield Cluster(ray, in_cache)
    finally:
        ray.shutdown()


class Cluster:
    """Does a series' tasks on Ray; made by `ray_cluster`."""

    def __init__(self, ray: Any, in_cache: Path):
        self._ray, self._in_cache = ray, in_cache
        self._gpus = int(on_gpu())
        self.parts = PARTS_PER_PROCESSOR * max(1, int(ray.cluster_resources().get("CPU", 1)))
        here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
            ray.get_runtime_context().get_node_id(), soft=False
        )
        self._board = ray.remote(num_cpus=0)(Board).options(scheduling_strategy=here).remote()

    def read(self, source: Source, image_size: int, resize: str) -> Catalog:
        """Read all files of a source, a part in each task."""
        size = -(-len(source.items) // self.parts) or 1
        parts = [
            replace(source, items=source.items[start : start + size], strays=() if start else source.strays)
            for start in range(0, max(1, len(source.items)), size)
        ]
        place = self._place(1)
        refs = [
            self._submit(f"read {number}", place, read_photos, part, image_size, resize)
            for number, part in enumerate(parts)
        ]
        return joined(self._results("Reading", refs))

    def run(self, steps: Iterable[Step], series: Series) -> set[str]:
        """Do all tasks, each as soon as those that it needs are done."""
        self._ensure_large_enough(thread_count())
        with _token(series.folder.path) as in_out:
            folder = replace(series.folder, path=series.folder.path.absolute())
            shared = [self._ray.put(replace(series, folder=folder).reopened())]
            refs: dict[Task, Any] = {}
            for step, needs in steps:
                place = self._place(1 if isinstance(step, Extract) else thread_count(), in_out.absolute())
                after = [refs[need] for need in needs]
                refs[step] = self._submit(str(step), place, _execute, step, shared, after=after)
            return {path for paths in self._results("Tasks", list(refs.values())) for path in paths}

    def _place(self, threads: int, in_out: Path | None = None) -> Place:
        seen = [("The cache", self._in_cache), *([("OUT", in_out)] if in_out else [])]
        return Place(os.getcwd(), tuple(seen), threads)

    def _submit(
        self, name: str, place: Place, function: Callable[..., Any], *given: Any, after: Sequence[Any] = ()
    ) -> Any:
        """Hand a task out; gives a reference to its result."""
        threads = str(place.threads)
        wanted = {
            "UNFREEZE_CACHE": str(self._in_cache.parent),
            "KERAS_BACKEND": keras.backend.backend(),
            # Ours has long read these; the processes that begin now read them before their first task
            **dict.fromkeys(("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"), threads),
            **{name: os.environ[name] for name in ("TF_ENABLE_ONEDNN_OPTS",) if name in os.environ},
        }
        remote = self._ray.remote(
            num_cpus=place.threads,
            num_gpus=self._gpus,
            max_retries=RETRIES,
            runtime_env={"env_vars": wanted},
            name=name,
        )(_work)
        return remote.remote(name, place, self._board, function, given, *after)

    def _results(self, title: str, refs: Sequence[Any]) -> list[Any]:
        """Wait for all results and show what is going on until then; the first error ends it."""
        waiting, mirror, nodes = list(refs), Mirror(), self._nodes()
        with task(f"{title} on {nodes} {'node' if nodes == 1 else 'nodes'}", len(refs)) as advance:
            while waiting:
                done, waiting = self._ray.wait(waiting, num_returns=len(waiting), timeout=LOOK_SECONDS)
                for ref in done:
                    self._result(ref)
                states, news = self._ray.get(self._board.look.remote())
                for line in news:
                    say(line)
                mirror.show(states if waiting else {})
                if (left := self._nodes()) < nodes:
                    say(f"{nodes - left} of {nodes} nodes are gone; what was running there runs again elsewhere")
                nodes = left
                advance(len(done))
        return [self._result(ref) for ref in refs]

    def _result(self, ref: Any) -> Any:
        """Give a result, or raise what its task raised.

        Raises:
            RunError: the task could not be run.
        """
        failures = self._ray.exceptions
        try:
            return self._ray.get(ref)
        except failures.OutOfMemoryError as error:
            raise MemoryError(error_in_a_line(error)) from error
        except failures.RayError as error:
            cause: Any = error
            while isinstance(cause, failures.RayTaskError):
                cause = cause.cause
            if isinstance(cause, UnfreezeError | OSError | MemoryError):
                raise cause from error
            raise RunError(
                f"A task could not be done on the cluster ({error_in_a_line(cause)}). All of its nodes need unfreeze "
                "as it is here. Make the same call again, which goes on from what is finished."
            ) from error

    def _nodes(self) -> int:
        return sum(node["Alive"] for node in self._ray.nodes())

    def _ensure_large_enough(self, threads: int) -> None:
        largest = max(int(node["Resources"].get("CPU", 0)) for node in self._ray.nodes() if node["Alive"])
        if largest < threads:
            raise RunError(
                f"Training takes {threads} processors, as many as there are here, and the largest node of the cluster "
                f"has {largest}. Say --threads {largest}; another number can change the last bits of results."
            )


def _work(name: str, place: Place, board: Any, function: Callable[..., Any], given: Sequence[Any], *after: Any) -> Any:
    """Do a task in a process of the cluster."""
    place.enter()
    with reporting_to(Posting(lambda state, news: board.post.remote(name, state, news))):
        return function(*given)


def _execute(step: Task, shared: Sequence[Any]) -> Sequence[str]:
    return execute(step, _series(shared[0]).reopened())


@lru_cache(maxsize=1)
def _series(reference: Any) -> Series:
    """Give the series, with the engines that earlier tasks in this process opened."""
    import ray

    return ray.get(reference)


@contextmanager
def _token(folder: Path) -> Iterator[Path]:
    """Put a file into a folder for as long as the block takes, by which other machines know the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder.absolute() / f".{secrets.token_hex(4)}-on_ray"
    file.touch()
    try:
        yield file
    finally:
        with suppress(OSError):
            file.unlink()


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Keep the handlers of signals as they are; Ray would end the process without a word."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in handlers.items():
                signal.signal(number, handler)


def _ensure_reachable(address: str) -> None:
    """Refuse an address where nobody listens: Ray would try for a minute."""
    if address == HERE:
        return
    parts = ADDRESS.fullmatch(address)
    if not parts:
        raise RunError(f"--on {address}: give `ray` for this machine, or HOST:PORT or ray://HOST:PORT of a cluster.")
    try:
        socket.create_connection((parts["host"].strip("[]"), int(parts["port"])), CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise RunError(
            f"--on {address}: no Ray cluster answers there ({error_in_a_line(error)}). `ray start --head` starts one "
            "and says its address."
        ) from error
