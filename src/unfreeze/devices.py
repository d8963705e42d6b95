"""Several devices under JAX: each batch is shared out among them, and weights are the same on all.

With two GPUs nothing has to be said. Several machines, or processes, run the same command each, with a folder of its
own for results, and with the environment variables that `keras.distribution.initialize` reads: all addresses, the
number of processes, and which of them this one is.
"""

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from operator import itemgetter
from typing import Any

PROCESSES = "KERAS_DISTRIBUTION_NUM_PROCESSES"

_whole = False
"""Whether batches stay whole on every device for now."""


def use_all_devices() -> None:
    """Share batches out among all of JAX's devices, if there are several. Call it before any variable is made.

    Batches that can't be shared out evenly, such as an epoch's last one, are computed by every device as a whole, so
    what is learned is what one device learns, but for rounding.
    """
    import keras

    if keras.backend.backend() != "jax" or keras.distribution.distribution() is not None:
        return
    if os.environ.get(PROCESSES, "1") != "1":
        keras.distribution.initialize()
    import jax  # pyright: ignore[reportMissingImports]

    if jax.device_count() > 1:
        keras.distribution.set_distribution(keras.distribution.DataParallel(auto_shard_dataset=False))
        # Keras lays all batches out as the first one, and leaves it to others to cut them up among processes
        trainer: Any = importlib.import_module("keras.src.backend.jax.trainer")
        trainer.JAXEpochIterator._get_distributed_iterator = _shared_out


@contextmanager
def whole_batches() -> Iterator[None]:
    """Let every device compute whole batches inside the block: what a process gets out of it then lies in its reach."""
    global _whole
    before, _whole = _whole, True
    try:
        yield
    finally:
        _whole = before


def leave_together() -> None:
    """Wait for the processes that computed with this one: JAX ends all when the first of them goes."""
    jax: Any = sys.modules.get("jax")
    if jax and jax.distributed.is_initialized():
        jax.distributed.shutdown()


def _shared_out(iterator: Any, distribution: Any) -> Iterator[Any]:
    """Place the batches of an epoch on the devices; each process makes them all, and keeps its share."""
    import jax  # pyright: ignore[reportMissingImports]
    from jax.sharding import NamedSharding, PartitionSpec  # pyright: ignore[reportMissingImports]

    mesh = distribution.device_mesh.backend_mesh
    count, process = jax.process_count(), jax.process_index()
    for batch in iterator.data_adapter.get_jax_iterator():
        rows = len(jax.tree.leaves(batch)[0])
        is_whole = rows % jax.device_count() > 0 or (_whole and count > 1)
        spec = PartitionSpec() if is_whole else PartitionSpec(distribution.batch_dim_name)
        share = slice(None) if is_whole else slice(process * rows // count, (process + 1) * rows // count)
        own = jax.tree.map(itemgetter(share), batch)
        yield jax.tree.map(partial(jax.make_array_from_process_local_data, NamedSharding(mesh, spec)), own)
