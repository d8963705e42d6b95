"""Read weights from PyTorch's old checkpoint format, without PyTorch and without running anything in them.

A `.pth` file written before PyTorch 1.6 (or with `_use_new_zipfile_serialization=False`) is a row of pickles:
a magic number, the protocol version, facts about the machine, the state dict and the keys of its storages.
After them comes, for each key, the number of elements as 8 bytes and the elements themselves. In the state
dict a tensor is a view (offset, shape, strides) of a storage. See `_legacy_save` in torch/serialization.py.
"""

import hashlib
import io
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np

from unfreeze.errors import BackboneError

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
PROTOCOL_VERSION = 1001

# Names, not NumPy's dtypes: a pickle can change the state of an object that it gets hold of, but not a string's.
STORAGE_DTYPES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}


def load_torch_checkpoint(path: Path, sha256: str) -> dict[str, np.ndarray]:
    """Read a state dict from an old-format PyTorch checkpoint.

    Args:
        path: the `.pth` file.
        sha256: what the file's SHA-256 has to be, in hexadecimal; nothing is read from another file.

    Returns:
        Array by parameter name, in the file's order.

    Raises:
        BackboneError: the file can't be read, has another hash, or holds anything but tensors.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BackboneError(f"The weights file {path} can't be read: {error.strerror}.") from error
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise BackboneError(
            f"The weights file {path} is not the published one: its SHA-256 is {found}, expected {sha256}. "
            "It may be damaged; install the package that it came with again."
        )
    try:
        return _read_state_dict(io.BytesIO(content), len(content))
    # A damaged or hostile pickle can fail in any way (EOFError, KeyError, TypeError, OverflowError, ...).
    except Exception as error:
        raise BackboneError(
            f"The weights file {path} is not a PyTorch checkpoint of the old format with nothing but tensors "
            f"in it: {error or type(error).__name__}."
        ) from error


def _read_state_dict(stream: io.BytesIO, size: int) -> dict[str, np.ndarray]:
    if _TensorUnpickler(stream, size).load() != MAGIC_NUMBER:
        raise pickle.UnpicklingError("it doesn't begin with PyTorch's magic number")
    version = _TensorUnpickler(stream, size).load()
    if version != PROTOCOL_VERSION:
        raise pickle.UnpicklingError(f"its protocol version is {version!r}, expected {PROTOCOL_VERSION}")
    machine = _TensorUnpickler(stream, size).load()
    if machine["little_endian"] is not True:
        raise pickle.UnpicklingError("it was written on a big-endian machine")
    unpickler = _TensorUnpickler(stream, size)
    state_dict = unpickler.load()
    for key in _TensorUnpickler(stream, size).load():
        _fill(unpickler.storages.pop(key), stream)
    if unpickler.storages:
        raise pickle.UnpicklingError(f"the data of {len(unpickler.storages)} storages is missing")
    if not isinstance(state_dict, dict):
        raise pickle.UnpicklingError(f"it holds a {type(state_dict).__name__}, not a state dict")
    for name, tensor in state_dict.items():
        if not isinstance(name, str) or not isinstance(tensor, np.ndarray):
            raise pickle.UnpicklingError(f"the entry {name!r} is no tensor")
    return {name: np.array(tensor, order="C") for name, tensor in state_dict.items()}


class _TensorUnpickler(pickle.Unpickler):
    """Makes NumPy arrays of pickled tensors and refuses every other type.

    Storages are allocated when a tensor first names them; their data stands behind the pickles and is filled in
    afterwards, so that tensors, which are views, get it as well.
    """

    def __init__(self, stream: io.BytesIO, size: int) -> None:
        super().__init__(stream)
        self._size = size
        self.storages: dict[str, np.ndarray] = {}

    def find_class(self, module_name: str, global_name: str) -> Any:
        """Return what stands for a global name in the pickle; called by `pickle` for each of them."""
        if (module_name, global_name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module_name, global_name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild_tensor
        if module_name == "torch" and global_name in STORAGE_DTYPES:
            return STORAGE_DTYPES[global_name]
        raise pickle.UnpicklingError(f"it names {module_name}.{global_name}, which is no tensor type")

    def persistent_load(self, pid: Any) -> np.ndarray:
        """Return the storage that a persistent id describes; called by `pickle` for each of them."""
        kind, dtype, key, _device, count, view = pid
        if kind != "storage" or dtype not in STORAGE_DTYPES.values() or view is not None:
            raise pickle.UnpicklingError(f"it refers to an object of an unknown kind: {kind!r}")
        if not 0 <= count * np.dtype(dtype).itemsize <= self._size:
            raise pickle.UnpicklingError(f"storage {key} of {count} elements is larger than the file")
        if key not in self.storages:
            self.storages[key] = np.empty(count, dtype)
        return self.storages[key]


def _rebuild_tensor(
    storage: np.ndarray,
    offset: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    requires_grad: bool,
    backward_hooks: OrderedDict[Any, Any],
) -> np.ndarray:
    """Do what `torch._utils._rebuild_tensor_v2` does; strides count elements."""
    last = offset + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))
    if min((offset, *shape, *strides)) < 0 or (last >= storage.size and 0 not in shape):
        raise pickle.UnpicklingError(f"a tensor of shape {shape} reaches beyond its storage")
    return np.lib.stride_tricks.as_strided(
        storage[offset:], shape, [stride * storage.itemsize for stride in strides], writeable=False
    )


def _fill(storage: np.ndarray, stream: io.BytesIO) -> None:
    count = int.from_bytes(stream.read(8), "little")
    data = stream.read(storage.nbytes)
    if count != storage.size or len(data) != storage.nbytes:
        raise pickle.UnpicklingError("it ends before its last tensor")
    storage[:] = np.frombuffer(data, storage.dtype)
