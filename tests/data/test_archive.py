"""Archives are unpacked whole or refused, and nothing in them reaches out of the folder."""

import bz2
import gzip
import io
import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unfreeze.data import archive as archive_module
from unfreeze.data import archive_members
from unfreeze.data.archive import archive_stem, extract
from unfreeze.data.archive_members import archive_kind
from unfreeze.errors import DataError

COMPRESSED: dict[str, Callable[[bytes], bytes]] = {
    ".tar": bytes,
    ".tar.gz": gzip.compress,
    ".tar.bz2": bz2.compress,
    ".tar.xz": lzma.compress,
}
PHOTO = b"\xff\xd8\xff" + bytes(range(256)) * 20


def make_zip(members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as content:
        for name, data in members.items():
            content.writestr(name, data)
    return buffer.getvalue()


def make_tar(members: dict[str, bytes], *headers: tarfile.TarInfo, form: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as content:
        for name, data in members.items():
            header = tarfile.TarInfo(name)
            header.size = len(data)
            content.addfile(header, io.BytesIO(data))
        for header in headers:
            content.addfile(header)
    return buffer.getvalue()


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    header = tarfile.TarInfo(name)
    header.type, header.linkname = kind, target
    return header


def unpacked(folder: Path, data: bytes) -> dict[str, bytes]:
    """Unpack an archive; gives all files of the folder that it was unpacked in, and around it."""
    (folder / "archive").write_bytes(data)
    (folder / "inside").mkdir(exist_ok=True)
    extract(folder / "archive", "photos.zip", folder / "inside")
    inside = folder / "inside"
    return {file.relative_to(inside).as_posix(): file.read_bytes() for file in inside.rglob("*") if file.is_file()}


def refused(folder: Path, data: bytes) -> str:
    """Give the message of an archive that is refused, after a look that nothing was written elsewhere."""
    with pytest.raises(DataError) as error:
        unpacked(folder, data)
    assert {entry.name for entry in folder.iterdir()} <= {"archive", "inside"}
    assert not any(entry.is_symlink() for entry in folder.rglob("*"))
    return str(error.value)


MEMBERS = {
    "train/cat/1.jpg": PHOTO,
    "train/dog/a b.jpg": PHOTO * 2,
    "test/cat/é.jpg": b"\xff\xd8\xff",
    "empty.txt": b"",
}


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_zips_come_out_as_they_went_in(tmp_path: Path, compression: int) -> None:
    assert unpacked(tmp_path, make_zip(MEMBERS, compression)) == MEMBERS


@pytest.mark.parametrize("ending", COMPRESSED)
@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_tars_come_out_as_they_went_in(tmp_path: Path, ending: str, form: int) -> None:
    data = COMPRESSED[ending](make_tar(MEMBERS, form=form))
    assert archive_kind(data) == {".tar": "tar", ".tar.gz": "gzip", ".tar.bz2": "bz2", ".tar.xz": "xz"}[ending]
    assert unpacked(tmp_path, data) == MEMBERS


def test_the_size_is_that_of_the_files(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(make_zip(MEMBERS))
    (tmp_path / "inside").mkdir()
    assert extract(tmp_path / "a.zip", "a.zip", tmp_path / "inside") == sum(map(len, MEMBERS.values()))


@pytest.mark.parametrize("make", [make_zip, make_tar])
def test_hidden_and_system_files_are_passed_over(tmp_path: Path, make: Callable[[dict[str, bytes]], bytes]) -> None:
    hidden = ["__MACOSX/cat/._1.jpg", ".git/x.jpg", "cat/.DS_Store", "cat/Thumbs.db", "cat/desktop.ini"]
    assert unpacked(tmp_path, make({"./cat/1.jpg": PHOTO, **dict.fromkeys(hidden, b"x")})) == {"cat/1.jpg": PHOTO}


def test_backslashes_of_old_windows_zips_are_folders(tmp_path: Path) -> None:
    assert unpacked(tmp_path, make_zip({"cat\\": b"", "cat\\1.jpg": PHOTO})) == {"cat/1.jpg": PHOTO}


@pytest.mark.parametrize("make", [make_zip, make_tar])
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../evil.jpg", "leads out of the folder"),
        ("cat/../../evil.jpg", "leads out of the folder"),
        ("..\\evil.jpg", "leads out of the folder"),
        ("cat/../dog/1.jpg", "has .. in its path"),
        ("/tmp/evil.jpg", "is an absolute path"),
        ("//host/evil.jpg", "is an absolute path"),
        ("\\evil.jpg", "is an absolute path"),
        ("C:\\evil.jpg", "is an absolute path"),
        ("c:evil.jpg", "is an absolute path"),
        ("deep/" * 150 + "1.jpg", "has a path of more than 500 characters"),
    ],
)
def test_members_that_lead_out_are_refused_by_name(
    tmp_path: Path, make: Callable[[dict[str, bytes]], bytes], name: str, reason: str
) -> None:
    message = refused(tmp_path, make({"cat/1.jpg": PHOTO, name: PHOTO}))
    assert message == (
        f"photos.zip is not unpacked: its member {name[:500]!r} {reason}, which photos never need. "
        "If you trust it, unpack it yourself and give the folder."
    )


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (special("cat/evil.jpg", tarfile.SYMTYPE, "/etc/passwd"), "is a symbolic link"),
        (special("cat/evil.jpg", tarfile.SYMTYPE, "1.jpg"), "is a symbolic link"),
        (special("cat/evil.jpg", tarfile.LNKTYPE, "../../secret"), "is a hard link"),
        (special("cat/evil.jpg", tarfile.CHRTYPE), "is a device or a pipe"),
        (special("cat/evil.jpg", tarfile.BLKTYPE), "is a device or a pipe"),
        (special("cat/evil.jpg", tarfile.FIFOTYPE), "is a device or a pipe"),
    ],
)
def test_links_devices_and_pipes_in_tars_are_refused(tmp_path: Path, header: tarfile.TarInfo, reason: str) -> None:
    message = refused(tmp_path, make_tar({"cat/1.jpg": PHOTO}, header))
    assert message.startswith(
        f"photos.zip is not unpacked: its member 'cat/evil.jpg' {reason}, which photos never need"
    )


def test_a_link_to_a_folder_and_a_file_through_it_are_refused(tmp_path: Path) -> None:
    tar = make_tar({}, special("cat", tarfile.SYMTYPE, ".."), special("cat/evil.jpg", tarfile.REGTYPE))
    assert "'cat' is a symbolic link" in refused(tmp_path, tar)


@pytest.mark.parametrize(
    ("mode", "reason"),
    [(stat.S_IFLNK, "is a symbolic link"), (stat.S_IFIFO, "is a device or a pipe"), (stat.S_IFCHR, "is a device or a")],
)
def test_links_and_pipes_in_zips_are_refused(tmp_path: Path, mode: int, reason: str) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as content:
        info = zipfile.ZipInfo("cat/evil.jpg")
        info.create_system, info.external_attr = 3, (mode | 0o777) << 16
        content.writestr(info, "/etc/passwd")
    assert f"its member 'cat/evil.jpg' {reason}" in refused(tmp_path, buffer.getvalue())


@pytest.mark.parametrize("second", ["./cat/1.jpg", "cat//1.jpg", "cat/1.jpg/2.jpg", "cat"])
def test_a_member_that_stands_twice_is_refused(tmp_path: Path, second: str) -> None:
    message = refused(tmp_path, make_tar({"cat/1.jpg": PHOTO, second: PHOTO}))
    assert f"its member {second!r} stands twice in it" in message


@pytest.mark.parametrize("form", ["zip", *COMPRESSED])
def test_bombs_are_stopped_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    monkeypatch.setattr(archive_members, "ARCHIVE_RATIO_FROM", 10**6)
    members = {"cat/1.bmp": bytes(30 * 10**6)}
    data = make_zip(members) if form == "zip" else COMPRESSED[form](make_tar(members))
    if form == ".tar":
        assert unpacked(tmp_path, data) == members  # it is as large as what it holds
        return
    limit = max(10**6, 100 * len(data))
    assert limit < 30 * 10**6
    assert refused(tmp_path, data) == (
        f"photos.zip unpacks to more than {limit:,} bytes, which photos in an archive of its size don't. "
        "If you trust it, unpack it yourself and give the folder."
    )
    assert sum(file.stat().st_size for file in (tmp_path / "inside").rglob("*")) <= limit + 10**6


def test_a_bomb_in_a_tars_headers_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_members, "ARCHIVE_RATIO_FROM", 10**6)
    header = tarfile.TarInfo("cat/1.jpg")
    header.pax_headers = {"comment": "x" * 20 * 10**6}
    assert "unpacks to more than " in refused(tmp_path, gzip.compress(make_tar({}, header)))


def test_the_limit_of_all_bytes_holds_for_plain_tars_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_members, "ARCHIVE_BYTES_LIMIT", 20_000)
    assert "unpacks to more than 20,000 bytes" in refused(tmp_path, make_tar({"a/1.jpg": PHOTO * 5}))


def test_a_zip_that_lies_about_its_sizes_is_damaged(tmp_path: Path) -> None:
    data = make_zip({"cat/1.bmp": bytes(100_000)})
    lying = data.replace(struct.pack("<I", 100_000), struct.pack("<I", 10))
    assert lying != data
    assert "photos.zip is damaged or incomplete (" in refused(tmp_path, lying)


@pytest.mark.parametrize("make", [make_zip, make_tar])
def test_the_number_of_members_is_limited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[dict[str, bytes]], bytes]
) -> None:
    monkeypatch.setattr(archive_module, "ARCHIVE_MEMBERS_LIMIT", 3)
    assert len(unpacked(tmp_path, make({f"cat/{number}.jpg": PHOTO for number in range(3)}))) == 3
    message = refused(tmp_path, make({f"dog/{number}.jpg": PHOTO for number in range(4)}))
    assert message == "photos.zip holds more than 3 files: unpack it yourself and give the folder."


def test_encrypted_zips_are_named(tmp_path: Path) -> None:
    data = bytearray(make_zip({"cat/1.jpg": PHOTO}))
    data[6] |= 1  # the flag in the file's own header, and in the directory at the end
    data[data.index(b"PK\1\2") + 8] |= 1
    message = refused(tmp_path, bytes(data))
    assert message == "photos.zip is encrypted (cat/1.jpg): unpack it yourself and give the folder."


def test_unknown_compression_is_named(tmp_path: Path) -> None:
    data = bytearray(make_zip({"cat/1.jpg": PHOTO}))
    data[8] = 9  # Deflate64
    data[data.index(b"PK\1\2") + 10] = 9
    message = refused(tmp_path, bytes(data))
    assert message.startswith("photos.zip holds cat/1.jpg in a form that is not read (")
    assert message.endswith("): unpack it yourself and give the folder.")


@pytest.mark.parametrize("form", ["zip", *COMPRESSED])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.98])
def test_archives_that_are_cut_off_are_damaged(tmp_path: Path, form: str, share: float) -> None:
    data = make_zip(MEMBERS) if form == "zip" else COMPRESSED[form](make_tar(MEMBERS, form=tarfile.USTAR_FORMAT))
    if form == ".tar":  # its end is filled up with zeros
        data = data[: len(data.rstrip(b"\0"))]
    assert "photos.zip is damaged" in refused(tmp_path, data[: int(share * len(data))])


def test_a_tar_that_ends_between_members_is_damaged(tmp_path: Path) -> None:
    whole = make_tar({"cat/1.jpg": PHOTO, "cat/2.jpg": PHOTO})
    place = whole.index(b"cat/2.jpg")
    garbled = whole[:place] + b"\xfe" * 100 + whole[place + 100 :]
    for name, data in (("cut", whole[:place]), ("garbled", garbled)):
        (tmp_path / name).mkdir()
        assert "photos.zip is damaged or incomplete (its end is missing" in refused(tmp_path / name, data)


@pytest.mark.parametrize("form", ["zip", ".tar.gz", ".tar.bz2", ".tar.xz"])
def test_a_wrong_bit_is_found_by_the_checksum(tmp_path: Path, form: str) -> None:
    members = {"cat/1.jpg": zlib.compress(PHOTO) * 50}
    data = bytearray(make_zip(members, zipfile.ZIP_STORED) if form == "zip" else COMPRESSED[form](make_tar(members)))
    data[len(data) // 2] ^= 1
    assert "photos.zip is damaged or incomplete (" in refused(tmp_path, bytes(data))


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.sampled_from(["zip", *COMPRESSED]), st.integers(0, 10**6), st.binary(min_size=1, max_size=8))
def test_garbled_archives_raise_nothing_but_data_errors(
    tmp_path_factory: pytest.TempPathFactory, form: str, place: int, noise: bytes
) -> None:
    folder = tmp_path_factory.mktemp("garbled")
    data = make_zip(MEMBERS) if form == "zip" else COMPRESSED[form](make_tar(MEMBERS))
    place %= len(data)
    with suppress(DataError):
        unpacked(folder, data[:place] + noise + data[place + len(noise) :])
    assert {entry.name for entry in folder.iterdir()} == {"archive", "inside"}


def test_archives_in_archives_are_named_unless_there_are_photos(tmp_path: Path) -> None:
    inner = make_zip({"1.jpg": PHOTO})
    message = refused(tmp_path, make_tar({"train.zip": inner, "README.txt": b"hello"}))
    assert message == (
        "photos.zip holds no photos but archives, such as train.zip: unpack it yourself and give the folder."
    )
    assert set(unpacked(tmp_path, make_zip({"cat/1.jpg": PHOTO, "cat/more.zip": inner}))) >= {"cat/more.zip"}


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("a.zip", "a"),
        ("a.b.TAR.GZ", "a.b"),
        ("a.tgz", "a"),
        ("a.tar", "a"),
        ("a.tar.xz", "a"),
        (".zip", ".zip"),
        ("a", "a"),
    ],
)
def test_stems(name: str, stem: str) -> None:
    assert archive_stem(name) == stem
