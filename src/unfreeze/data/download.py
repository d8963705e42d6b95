"""Fetching archives of photos by URL: with progress, and going on where a connection was cut."""

import hashlib
import http.client
import json
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock

from unfreeze.data.archive_members import archive_kind
from unfreeze.data.source_cache import HASH_DIGITS, sources_folder, unpack
from unfreeze.errors import DataError
from unfreeze.files import publish, replace_text
from unfreeze.limits import DOWNLOAD_LIMIT, DOWNLOAD_PAUSE, DOWNLOAD_RETRIES, DOWNLOAD_TIMEOUT
from unfreeze.progress import byte_task, say

SCHEMES = ("http://", "https://")
PASSING = (408, 425, 429, 500, 502, 503, 504)
"""What servers answer when the same request may go well a little later."""

NOTHING_LEFT = 416
"""What they answer when what is here already is as long as their file, or longer."""

CHUNK = 2**16


def is_url(data: str) -> bool:
    """Tell whether text is an address that `fetch` understands."""
    return data.lower().startswith(SCHEMES)


def url_name(url: str) -> str:
    """Give the name of the file that a URL leads to, or of the server where it names none."""
    parts = urllib.parse.urlsplit(url)
    return urllib.parse.unquote(parts.path).rstrip("/").rpartition("/")[2] or parts.hostname or "photos"


def fetch(url: str, cache: Path) -> Path:
    """Download an archive and unpack it, or find it in the cache; what was fetched once is not asked for again.

    Args:
        url: of a zip or tar archive.
        cache: folder of all caches.

    Returns:
        The folder that it is unpacked in.

    Raises:
        DataError: it can't be fetched, is no archive, or can't be unpacked safely.
        OSError: the cache can't be written.
    """
    folder = sources_folder(cache)
    key = hashlib.sha256(url.encode()).hexdigest()[:HASH_DIGITS]
    state, part, archive = (folder / f"{key}.{kind}" for kind in ("json", "part", "archive"))
    with FileLock(folder / f"{key}.lock"):
        unpacked = folder / str(_read(state).get("unpacked", "nowhere"))
        if unpacked.is_dir():
            return unpacked
        if not archive.exists():
            _download(url, part, state)
            publish(part, archive)
        try:
            unpacked = unpack(archive, url, cache)
        except DataError:
            archive.unlink()
            raise
        replace_text(state, json.dumps({"url": url, "unpacked": unpacked.name}))
        archive.unlink()
    return unpacked


class _CutError(Exception):
    """The connection failed; another try may go on from there."""


def _download(url: str, part: Path, state: Path) -> None:
    """Bring a file here, with another try after each cut."""
    failures, most = 0, _size(part)
    while True:
        try:
            return _receive(url, part, state)
        except _CutError as error:
            failures = 0 if _size(part) > most else failures + 1
            most = max(most, _size(part))
            if failures > DOWNLOAD_RETRIES:
                there = f" {most / 1e6:,.1f} MB are here; the same call goes on from there." if most else ""
                raise DataError(
                    f"{url} can't be fetched: {error}. Check the network and the address.{there}"
                ) from error
            say(f"{url_name(url)}: {error}; trying again")
            time.sleep(DOWNLOAD_PAUSE * 2**failures)


def _receive(url: str, part: Path, state: Path) -> None:
    """Receive as much as one connection gives: all, or the rest of what is there already."""
    known, have = _read(state), _size(part)
    if have and known.get("total") == have:
        return
    validator = known.get("validator") if have else None
    # If-Range: the server sends the rest if the file is still the same, else the whole of it (RFC 9110, 13.1.5)
    headers = {"Range": f"bytes={have}-", "If-Range": validator} if validator else {}
    with _connect(url, headers, part) as response:
        if response.status == 206:
            if not str(response.headers["Content-Range"]).startswith(f"bytes {have}-"):
                part.unlink()
                raise _CutError("the server sent another part than the one asked for")
        else:
            have = 0
            part.unlink(missing_ok=True)  # before it is noted what the next one is a part of
        length = response.headers["Content-Length"]
        total = have + int(length) if length and length.isdigit() else None
        if not have:
            replace_text(state, json.dumps({"url": url, "validator": _validator(response), "total": total}))
        with byte_task(f"Fetching {url_name(url)}", total or 0) as advance, part.open("ab") as file:
            advance(have)
            for chunk in _chunks(response):
                if not have and archive_kind(chunk) is None:
                    raise DataError(_no_archive(url, response, chunk))
                have += len(chunk)
                if max(have, total or 0) > DOWNLOAD_LIMIT:
                    raise DataError(f"{url} is larger than {DOWNLOAD_LIMIT:,} bytes. Fetch and unpack it yourself.")
                file.write(chunk)
                advance(len(chunk))
    if not have or have < (total or 0):
        raise _CutError(f"the connection was cut after {have:,} bytes" if have else "the server sent nothing")


def _connect(url: str, headers: Mapping[str, str], part: Path) -> http.client.HTTPResponse:
    address = urllib.parse.quote(url, safe="%:/?#[]@!$&'()*+,;=~")
    try:
        if not urllib.parse.urlsplit(address).hostname:
            raise ValueError("it names no server")
        request = urllib.request.Request(
            address, headers={"User-Agent": "unfreeze", "Accept-Encoding": "identity", **headers}
        )
        return urllib.request.urlopen(request, timeout=DOWNLOAD_TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()
        answer = f"the server answers {error.code} ({error.reason})"
        if error.code == NOTHING_LEFT:
            part.unlink(missing_ok=True)
        if error.code in (*PASSING, NOTHING_LEFT):
            raise _CutError(answer) from error
        raise DataError(
            f"{url} can't be fetched: {answer}. Check the address, and whether it needs a login."
        ) from error
    except (http.client.InvalidURL, ValueError) as error:
        raise DataError(f"{url} is no address that can be fetched: {error}.") from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        if isinstance(reason, ssl.SSLCertVerificationError):
            raise DataError(
                f"{url} can't be fetched: its certificate is not trusted ({reason.verify_message})."
            ) from error
        raise _CutError(f"there is no connection ({reason or type(error).__name__})") from error


def _chunks(response: http.client.HTTPResponse) -> Iterator[bytes]:
    try:
        while chunk := response.read(CHUNK):
            yield chunk
    except (OSError, http.client.HTTPException) as error:
        raise _CutError(f"the connection was cut ({error or type(error).__name__})") from error


def _validator(response: http.client.HTTPResponse) -> str | None:
    """Give what tells whether the file is still the same; weak ETags don't tell it of its bytes."""
    tag = response.headers["ETag"]
    return tag if tag and not tag.startswith("W/") else response.headers["Last-Modified"]


def _no_archive(url: str, response: http.client.HTTPResponse, start: bytes) -> str:
    if urllib.parse.urlsplit(url).path.lower().endswith(".csv"):
        return f"{url} is a CSV, which can't bring its photos along. Give the URL of an archive with both."
    kind = response.headers.get_content_type()
    what = "a web page" if kind == "text/html" or start.lstrip()[:1] == b"<" else f"a file of the type {kind}"
    return f"{url} gives {what}, not a zip or tar archive. Give the archive's own address, or fetch it by hand."


def _read(state: Path) -> dict[str, Any]:
    try:
        known = json.loads(state.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0
