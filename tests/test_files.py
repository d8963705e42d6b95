"""Files are whole or not there."""

import os

import pytest

from unfreeze.files import replace_bytes, replace_text, write_atomically


def test_text_keeps_its_line_ends_and_replaces_what_was_there(tmp_path):
    file = tmp_path / "a.csv"
    file.write_text("a much longer old content")
    replace_text(file, "ä,b\n1,2\r\n")
    assert file.read_bytes() == b"\xc3\xa4,b\n1,2\r\n"


def test_a_file_name_that_is_not_utf8_keeps_its_bytes(tmp_path):
    replace_text(tmp_path / "a.txt", os.fsdecode(b"caf\xe9.jpg"))
    assert (tmp_path / "a.txt").read_bytes() == b"caf\xe9.jpg"


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, failure):
    file = tmp_path / "weights.h5"
    replace_bytes(file, b"old")

    def write_half() -> None:
        with write_atomically(file) as temporary:
            temporary.write_bytes(b"half of the n")
            raise failure

    with pytest.raises(failure):
        write_half()
    assert file.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["weights.h5"]


def test_the_old_file_stands_until_the_new_one_is_complete(tmp_path):
    file = tmp_path / "best.weights.h5"
    replace_bytes(file, b"old")
    with write_atomically(file) as temporary:
        temporary.write_bytes(b"new")
        assert temporary.parent == file.parent
        assert temporary.name.endswith(".weights.h5")
        assert file.read_bytes() == b"old"
    assert file.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["best.weights.h5"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no umask")
def test_permissions_are_those_of_any_new_file(tmp_path):
    (tmp_path / "ordinary").touch()
    replace_bytes(tmp_path / "atomic", b"")
    assert (tmp_path / "atomic").stat().st_mode == (tmp_path / "ordinary").stat().st_mode
