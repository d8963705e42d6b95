"""What the page's server answers, and what it refuses before Gradio sees it."""

import asyncio
import json

import pytest

from unfreeze.inference.gate import Gate
from unfreeze.limits import REQUEST_LIMIT, UPLOAD_LIMIT


@pytest.fixture
def ask(tmp_path):
    """Send one request through a gate; gives the status, and what the server behind it was given."""
    folder = tmp_path / "page"
    folder.mkdir()
    (folder / "own.jpg").write_bytes(b"own")
    (tmp_path / "secret.txt").write_text("secret")
    (folder / "link").symlink_to(tmp_path / "secret.txt")

    def ask(path, method="GET", body=b"", headers=()):
        seen, statuses, chunks = [], [], [body[start : start + 1000] for start in range(0, len(body), 1000)] or [b""]

        async def server(scope, receive, send):
            seen.append((await receive())["body"])
            await send({"type": "http.response.start", "status": 200, "headers": []})

        async def receive():
            return {"type": "http.request", "body": chunks.pop(0), "more_body": bool(chunks)}

        async def send(message):
            statuses.append(message.get("status"))

        scope = {"type": "http", "path": path, "method": method, "headers": list(headers)}
        asyncio.run(Gate(server, folder)(scope, receive, send))
        return statuses[0], b"".join(seen)

    ask.folder, ask.outside = folder, tmp_path
    return ask


@pytest.mark.parametrize("path", ["/", "/config", "/assets/index.js", "/gradio_api/info", "/gradio_api/heartbeat/x"])
def test_what_a_page_needs(ask, path):
    assert ask(path)[0] == 200


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/proxy=https://example.org",
        "/gradio_api/vibe-code",
        "/gradio_api/process_recording",
        "/gradio_api/run/predict",
        "/gradio_api/file/etc/passwd",
        "/monitoring",
        "/gradio_api/deep_link",
        "/docs",
    ],
)
def test_what_no_page_needs(ask, path):
    assert ask(path)[0] == 404
    assert ask(path, "POST", b"{}")[0] == 404


def test_files(ask):
    assert ask(f"/gradio_api/file={ask.folder}/own.jpg")[0] == 200
    for path in (
        "/etc/passwd",
        f"{ask.folder}/../secret.txt",
        f"{ask.folder}/link",
        "own.jpg",
        "http://example.org/x.jpg",
        f"{ask.folder}x/own.jpg",
        "/etc/pass\0wd",
    ):
        assert ask(f"/gradio_api/file={path}")[0] == 403, path


@pytest.mark.parametrize("route", ["/gradio_api/call/predict", "/gradio_api/call/v2/predict", "/gradio_api/queue/join"])
def test_events_name_uploads_alone(ask, route):
    def status(path, **others):
        body = json.dumps({"data": [{"path": path, "meta": {"_type": "gradio.FileData"}, **others}, "model"]}).encode()
        code, seen = ask(route, "POST", body)
        assert seen == (body if code == 200 else b"")  # the server gets all of it or nothing
        return code

    assert status(f"{ask.folder}/own.jpg") == 200
    for path in (
        "/etc/passwd",
        "secret.txt",
        "http://169.254.169.254/",
        f"{ask.folder}/link",
        None,
        3,
        ["/etc/passwd"],
    ):
        assert status(path) == 403, path
    assert ask(route, "POST", b"no json")[0] == 400
    assert ask(route, "POST", b"[" * 100_000)[0] == 400
    assert ask(route, "POST", b"1" * (REQUEST_LIMIT + 1))[0] == 413


def test_uploads_are_limited(ask):
    def status(length):
        return ask("/gradio_api/upload", "POST", b"x", [(b"content-length", length)])[0]

    assert status(b"%d" % UPLOAD_LIMIT) == 200
    assert status(b"%d" % (UPLOAD_LIMIT * 2)) == 413
    assert status(b"-1") == 411
    assert ask("/gradio_api/upload", "POST", b"x")[0] == 411
