"""The reader of PyTorch's old checkpoints, on a file that PyTorch wrote and on damaged and hostile ones."""

import hashlib
import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

from unfreeze.errors import BackboneError
from unfreeze.models.torch_checkpoint import MAGIC_NUMBER, PROTOCOL_VERSION, load_torch_checkpoint

REFERENCE = Path(__file__).parent / "reference"
HEADER = [MAGIC_NUMBER, PROTOCOL_VERSION, {"protocol_version": PROTOCOL_VERSION, "little_endian": True}]


def load(content: bytes, folder: Path) -> dict[str, np.ndarray]:
    """Load `content` as a file that has the expected hash."""
    path = folder / "weights.pth"
    path.write_bytes(content)
    return load_torch_checkpoint(path, hashlib.sha256(content).hexdigest())


def checkpoint(state_dict_pickle: bytes, header: list[object] | None = None) -> bytes:
    """Put a pickle where the state dict belongs, with no storages after it."""
    start = b"".join(pickle.dumps(part, protocol=2) for part in header or HEADER)
    return start + state_dict_pickle + pickle.dumps([], protocol=2)


def test_reads_what_pytorch_wrote():
    path = REFERENCE / "old_format.pth"
    arrays = load_torch_checkpoint(path, hashlib.sha256(path.read_bytes()).hexdigest())
    expected = np.load(REFERENCE / "old_format.npz")
    assert list(arrays) == list(expected)
    for name, array in arrays.items():
        assert (array.dtype, array.shape) == (expected[name].dtype, expected[name].shape), name
        np.testing.assert_array_equal(array, expected[name], err_msg=name)


def test_another_hash_is_refused_before_reading(tmp_path):
    path = tmp_path / "weights.pth"
    path.write_bytes(b"cos\nsystem\n(S'exit 1'\ntR.")
    with pytest.raises(BackboneError, match=r"not the published one: its SHA-256 is .*, expected 00") as error:
        load_torch_checkpoint(path, "00")
    assert str(path) in str(error.value)


def test_missing_file(tmp_path):
    with pytest.raises(BackboneError, match=r"weights\.pth can't be read: No such file"):
        load_torch_checkpoint(tmp_path / "weights.pth", "00")


class Runs:
    """Pickles as a call of `function(*arguments)`."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


HOSTILE = {
    "system": b"cos\nsystem\n(S'touch %s'\ntR.",
    "eval": b"c__builtin__\neval\n(S'open(%r, \"w\")'\ntR.",
    "stack_global": b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x01x\x85R.",
    "instance": b"(S'touch %s'\nios\nsystem\n.",
    "torch_function": b"ctorch.hub\nload\n(S'x'\ntR.",
    "dotted_name": b"\x80\x04\x8c\x0ccollections\x8c\x1dOrderedDict.__init__.__globals__\x93.",
    "extension": b"\x82\x01.",
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("place", ["state dict", "first"])
def test_code_in_a_pickle_is_refused_and_not_run(name, place, tmp_path):
    canary = tmp_path / "canary"
    attack = HOSTILE[name].replace(b"%s", str(canary).encode()).replace(b"%r", repr(str(canary)).encode())
    content = checkpoint(attack) if place == "state dict" else attack
    with pytest.raises(BackboneError, match="with nothing but tensors in it"):
        load(content, tmp_path)
    assert not canary.exists()


def test_refused_type_is_named(tmp_path):
    with pytest.raises(BackboneError, match=r"it names (posix|nt)\.system, which is no tensor type"):
        load(checkpoint(pickle.dumps(Runs(__import__("os").system, "exit 1"), protocol=2)), tmp_path)


def test_nested_code_is_refused(tmp_path):
    attack = pickle.dumps(OrderedDict(weight=Runs(print, "hello")), protocol=2)
    with pytest.raises(BackboneError, match=r"builtin.*print, which is no tensor type"):
        load(checkpoint(attack), tmp_path)


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.9, 0.999])
def test_truncated_file(share, tmp_path):
    whole = (REFERENCE / "old_format.pth").read_bytes()
    with pytest.raises(BackboneError, match="is not a PyTorch checkpoint of the old format"):
        load(whole[: int(len(whole) * share)], tmp_path)


def tensor_pickle(count: int, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> bytes:
    """Write the pickle of one tensor by hand, as PyTorch would."""

    def plain(value: object) -> bytes:
        return pickle.dumps(value, protocol=2)[2:-1]  # without the protocol's number and the final stop

    storage = b"(" + plain("storage") + b"ctorch\nFloatStorage\n" + plain("0") + plain("cpu") + plain(count) + b"NtQ"
    arguments = plain(offset) + plain(shape) + plain(strides) + b"\x89" + b"ccollections\nOrderedDict\n)R"
    tensor = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + arguments + b"tR"
    return b"\x80\x02}" + plain("weight") + tensor + b"s."


def tensor_file(count: int, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> bytes:
    start = b"".join(pickle.dumps(part, protocol=2) for part in HEADER)
    data = np.arange(4, dtype="<f4").tobytes()
    keys = pickle.dumps(["0"], protocol=2)
    return start + tensor_pickle(count, offset, shape, strides) + keys + (4).to_bytes(8, "little") + data


def test_tensor_is_a_view_of_its_storage(tmp_path):
    arrays = load(tensor_file(4, 1, (3,), (1,)), tmp_path)
    np.testing.assert_array_equal(arrays["weight"], np.array([1, 2, 3], "float32"))


@pytest.mark.parametrize(
    ("count", "offset", "shape", "strides", "reason"),
    [
        (4, 0, (5,), (1,), "reaches beyond its storage"),
        (4, 2, (2, 2), (2, 1), "reaches beyond its storage"),
        (4, -1, (2,), (1,), "reaches beyond its storage"),
        (4, 3, (2,), (-1,), "reaches beyond its storage"),
        (10**12, 0, (1,), (1,), "larger than the file"),
        (3, 0, (3,), (1,), "ends before its last tensor"),
    ],
)
def test_tensor_outside_its_storage_is_refused(count, offset, shape, strides, reason, tmp_path):
    with pytest.raises(BackboneError, match=reason):
        load(tensor_file(count, offset, shape, strides), tmp_path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (checkpoint(b"", [17]), "magic number"),
        (checkpoint(b"", [MAGIC_NUMBER, 1002]), "protocol version is 1002, expected 1001"),
        (checkpoint(b"", [MAGIC_NUMBER, PROTOCOL_VERSION, {"little_endian": False}]), "big-endian"),
        (checkpoint(pickle.dumps([1, 2], protocol=2)), "holds a list, not a state dict"),
        (checkpoint(pickle.dumps({"epoch": 3}, protocol=2)), "the entry 'epoch' is no tensor"),
        (b"PK\x03\x04 a newer, zipped checkpoint", "is not a PyTorch checkpoint of the old format"),
        (b"", "is not a PyTorch checkpoint of the old format"),
    ],
)
def test_other_contents_are_refused(content, reason, tmp_path):
    with pytest.raises(BackboneError, match=reason):
        load(content, tmp_path)
