"""Small photo data sets, made as files."""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from PIL import Image


def _encode_photo(seed: int, kind: str = "PNG", **options: object) -> bytes:
    """Encode a 40 x 30 photo whose pixels follow from `seed`."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    image = Image.fromarray(coarse).resize((40, 30), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.fixture
def encode_photo() -> Callable[..., bytes]:
    """Encode a small photo: (seed, kind="PNG", **options of Pillow's save)."""
    return _encode_photo


@pytest.fixture
def make_photos(tmp_path: Path) -> Callable[[dict[str, int]], Path]:
    """Make a folder with so many different photos in each of its folders."""

    def make(folders: dict[str, int]) -> Path:
        root = tmp_path / "photos"
        seed = 0
        for folder, count in folders.items():
            (root / folder).mkdir(parents=True)
            for number in range(count):
                (root / folder / f"{number:03}.png").write_bytes(_encode_photo(seed))
                seed += 1
        return root

    return make


@dataclass
class Server:
    """A web server on this machine that can be made to fail.

    Attributes:
        files: what it has, by path.
        kind: the Content-Type that it gives.
        ranges: whether it sends parts of files.
        tag: the ETag that it gives, or None.
        says_length: whether it gives Content-Length.
        cuts: how many bytes the next answers have before the connection is cut; answers after that are whole.
        answers: status codes that the next requests get in place of a file.
        asked: path and Range of each request.
    """

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    kind: str = "application/zip"
    ranges: bool = True
    tag: str | None = '"one"'
    says_length: bool = True
    cuts: list[int] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    asked: list[tuple[str, str | None]] = field(default_factory=list)

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        wanted, condition = request.headers["Range"], request.headers["If-Range"]
        self.asked.append((request.path, wanted))
        data = self.files.get(request.path)
        if self.answers or data is None:
            request.send_error(self.answers.pop(0) if self.answers else 404)
            return
        start = 0
        if wanted and self.ranges and condition == self.tag:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
        if start >= len(data):
            request.send_error(416)
            return
        request.send_response(206 if start else 200)
        request.send_header("Content-Type", self.kind)
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        if self.tag:
            request.send_header("ETag", self.tag)
        if self.says_length:
            request.send_header("Content-Length", str(len(data) - start))
        request.end_headers()
        request.wfile.write(data[start:][: self.cuts.pop(0)] if self.cuts else data[start:])


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Run a web server on the loopback address."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    made = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.answer(self)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        made.url = f"http://127.0.0.1:{http.server_port}"
        Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}).start()
        yield made
        http.shutdown()
