"""Archives by URL: fetched once, in as many pieces as it takes, and never mixed from two files."""

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.data.conftest import Server

from unfreeze.data import download
from unfreeze.data.download import fetch, is_url, url_name
from unfreeze.errors import DataError
from unfreeze.progress import Advance, reporting_to


def zipped(seed: int = 0, count: int = 40) -> bytes:
    """Pack files that no compression makes smaller: 400 kB."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as content:
        for number in range(count):
            noise = b"".join(hashlib.sha256(f"{seed} {number} {part}".encode()).digest() for part in range(320))
            content.writestr(f"cat/{number}.jpg", b"\xff\xd8\xff" + noise)
    return buffer.getvalue()


ARCHIVE = zipped()


@pytest.fixture
def url(server: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """Give the URL of an archive, with short pauses between tries."""
    monkeypatch.setattr(download, "DOWNLOAD_PAUSE", 0.001)
    server.files["/my%20photos.zip"] = ARCHIVE
    return f"{server.url}/my%20photos.zip"


def files(folder: Path) -> dict[str, bytes]:
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def inside(archive: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(archive)) as content:
        return {name: content.read(name) for name in content.namelist()}


def message(url: str, cache: Path) -> str:
    with pytest.raises(DataError) as error:
        fetch(url, cache)
    return str(error.value).replace(url, "URL")


def left(cache: Path) -> set[str]:
    return {entry.suffix for entry in (cache / "sources").iterdir()}


def test_an_archive_is_fetched_and_unpacked_once(server: Server, url: str, tmp_path: Path) -> None:
    folder = fetch(url, tmp_path)
    assert files(folder) == inside(ARCHIVE)
    assert fetch(url, tmp_path) == folder
    assert server.asked == [("/my%20photos.zip", None)]
    assert not left(tmp_path) & {".part", ".archive"}


def test_it_goes_on_where_the_connection_was_cut(server: Server, url: str, tmp_path: Path) -> None:
    server.cuts = [100_000, 50_000, 70_000]
    assert files(fetch(url, tmp_path)) == inside(ARCHIVE)
    assert [asked for _, asked in server.asked] == [None, "bytes=100000-", "bytes=150000-", "bytes=220000-"]


def test_any_number_of_cuts_does_no_harm_while_bytes_come(server: Server, url: str, tmp_path: Path) -> None:
    server.cuts = [30_000] * 12
    assert files(fetch(url, tmp_path)) == inside(ARCHIVE)
    assert len(server.asked) == 13


def test_a_server_that_sends_no_parts_starts_over(server: Server, url: str, tmp_path: Path) -> None:
    server.ranges, server.cuts = False, [100_000, 200_000]
    assert files(fetch(url, tmp_path)) == inside(ARCHIVE)
    assert len(server.asked) == 3


def test_without_a_name_for_its_state_the_file_is_fetched_anew(server: Server, url: str, tmp_path: Path) -> None:
    server.tag, server.cuts = None, [100_000]
    assert files(fetch(url, tmp_path)) == inside(ARCHIVE)
    assert [asked for _, asked in server.asked] == [None, None]


def test_it_gives_up_after_four_more_tries_and_the_next_call_goes_on(server: Server, url: str, tmp_path: Path) -> None:
    server.cuts = [100_000, 0, 0, 0, 0, 0]
    assert message(url, tmp_path) == (
        "URL can't be fetched: the connection was cut after 100,000 bytes. Check the network and the address. "
        "0.1 MB are here; the same call goes on from there."
    )
    assert len(server.asked) == 6
    assert files(fetch(url, tmp_path)) == inside(ARCHIVE)
    assert server.asked[6:] == [("/my%20photos.zip", "bytes=100000-")]


def test_a_server_that_always_cuts_at_one_place_does_not_go_on_for_ever(
    server: Server, url: str, tmp_path: Path
) -> None:
    server.ranges, server.cuts = False, [100_000] * 99
    assert "the connection was cut after 100,000 bytes" in message(url, tmp_path)
    assert len(server.asked) == 6


def test_a_file_that_changed_in_between_is_fetched_whole(server: Server, url: str, tmp_path: Path) -> None:
    server.cuts = [100_000, 0, 0, 0, 0, 0]
    message(url, tmp_path)
    server.files["/my%20photos.zip"], server.tag = zipped(seed=1), '"two"'
    assert files(fetch(url, tmp_path)) == inside(zipped(seed=1))


def test_a_kill_between_the_last_byte_and_the_end_costs_nothing(
    server: Server, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    for step in ("publish", "unpack"):
        with monkeypatch.context() as patch:
            patch.setattr(download, step, die)
            with pytest.raises(KeyboardInterrupt):
                fetch(url, tmp_path)
    assert files(fetch(url, tmp_path)) == inside(ARCHIVE)
    assert len(server.asked) == 1


def test_a_part_longer_than_the_file_is_thrown_away(server: Server, url: str, tmp_path: Path) -> None:
    server.cuts = [100_000, 0, 0, 0, 0, 0]
    message(url, tmp_path)
    (part,) = (tmp_path / "sources").glob("*.part")
    part.write_bytes(bytes(10**6))
    assert files(fetch(url, tmp_path)) == inside(ARCHIVE)


def test_without_a_length_all_that_comes_is_taken(server: Server, url: str, tmp_path: Path) -> None:
    server.says_length = False
    assert files(fetch(url, tmp_path)) == inside(ARCHIVE)


def test_an_archive_cut_off_unnoticed_is_found_out_and_not_kept(server: Server, url: str, tmp_path: Path) -> None:
    server.says_length, server.cuts = False, [100_000]
    assert message(url, tmp_path).startswith("URL is damaged or incomplete (")
    assert files(fetch(url, tmp_path)) == inside(ARCHIVE)


@pytest.mark.parametrize("code", [429, 500, 503])
def test_what_may_pass_is_tried_again(server: Server, url: str, tmp_path: Path, code: int) -> None:
    server.answers = [code, code]
    assert files(fetch(url, tmp_path)) == inside(ARCHIVE)
    assert len(server.asked) == 3


@pytest.mark.parametrize(("code", "words"), [(404, "Not Found"), (403, "Forbidden"), (401, "Unauthorized")])
def test_what_does_not_pass_is_said_at_once(server: Server, url: str, tmp_path: Path, code: int, words: str) -> None:
    server.answers = [code]
    assert message(url, tmp_path) == (
        f"URL can't be fetched: the server answers {code} ({words}). Check the address, and whether it needs a login."
    )
    assert len(server.asked) == 1


def test_no_connection(server: Server, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ConnectionRefusedError("Connection refused")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    assert message(url, tmp_path) == (
        "URL can't be fetched: there is no connection (Connection refused). Check the network and the address."
    )


@pytest.mark.parametrize(
    ("content", "kind", "what"),
    [
        (b"<!DOCTYPE html><html>Log in</html>", "text/html; charset=utf-8", "a web page"),
        (b"  <html>", "application/zip", "a web page"),
        (b"%PDF-1.7", "application/pdf", "a file of the type application/pdf"),
    ],
)
def test_what_is_no_archive_is_named_and_not_kept(
    server: Server, url: str, tmp_path: Path, content: bytes, kind: str, what: str
) -> None:
    server.files["/my%20photos.zip"], server.kind = content * 1000, kind
    assert message(url, tmp_path) == (
        f"URL gives {what}, not a zip or tar archive. Give the archive's own address, or fetch it by hand."
    )
    server.files["/my%20photos.zip"] = ARCHIVE
    assert files(fetch(url, tmp_path)) == inside(ARCHIVE)


def test_a_csv_alone_is_not_enough(server: Server, tmp_path: Path) -> None:
    server.files["/labels.csv"] = b"path,label\n"
    assert message(f"{server.url}/labels.csv", tmp_path) == (
        "URL is a CSV, which can't bring its photos along. Give the URL of an archive with both."
    )


@pytest.mark.parametrize("says_length", [True, False])
def test_size_is_limited(
    server: Server, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says_length: bool
) -> None:
    monkeypatch.setattr(download, "DOWNLOAD_LIMIT", 300_000)
    server.says_length = says_length
    assert message(url, tmp_path) == "URL is larger than 300,000 bytes. Fetch and unpack it yourself."


@pytest.mark.parametrize("address", ["http://[bad/photos.zip", "http://127.0.0.1:port/a.zip", "https://"])
def test_addresses_that_are_none(tmp_path: Path, address: str) -> None:
    assert "is no address that can be fetched: " in message(address, tmp_path)


def test_progress_is_in_megabytes(server: Server, url: str, tmp_path: Path) -> None:
    server.files["/my%20photos.zip"] = zipped(count=400)
    server.cuts = [2_500_000]
    seen: list[tuple[str, int]] = []
    steps: list[int] = []

    class Reporter:
        @contextmanager
        def task(self, title: str, total: int) -> Iterator[Advance]:
            seen.append((title, total))
            steps.append(0)

            def advance(count: int) -> None:
                steps[-1] += count

            yield advance

        def say(self, message: str) -> None:
            assert message == "my photos.zip: the connection was cut after 2,500,000 bytes; trying again"

    with reporting_to(Reporter()):
        fetch(url, tmp_path)
    assert seen[:2] == [("Fetching my photos.zip (MB)", 4)] * 2
    assert steps[:2] == [2, 4]
    assert [title.split()[0] for title, _ in seen[2:]] == ["Looking", "Unpacking"]
    assert steps[2:] == [4, 4]


def test_a_damaged_note_counts_as_none(server: Server, url: str, tmp_path: Path) -> None:
    folder = fetch(url, tmp_path)
    (note,) = (tmp_path / "sources").glob("*.json")
    assert json.loads(note.read_text())["url"] == url
    note.write_text("[]")
    assert fetch(url, tmp_path) == folder
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://a.org/x/photos.zip?dl=1#y", "photos.zip"),
        ("http://a.org/my%20photos.tar.gz", "my photos.tar.gz"),
        ("https://a.org/", "a.org"),
        ("HTTPS://a.org", "a.org"),
    ],
)
def test_names_of_urls(url: str, name: str) -> None:
    assert is_url(url)
    assert url_name(url) == name


def test_what_is_no_url() -> None:
    assert not any(map(is_url, ["photos.zip", "http", "ftp://a.org/photos.zip", "C:/photos", "httpx://a"]))
