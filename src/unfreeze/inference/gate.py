"""What a browser may ask of the web page's server: the page, its events, and files that the page itself has made.

Gradio's server can do more: fetch addresses, answer for other servers, write files for its editor. Nothing of that gets
past here, nor does any path of a file that was not uploaded.
"""

import json
import os
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from pathlib import Path
from typing import Any

from unfreeze.limits import REQUEST_LIMIT, UPLOAD_LIMIT

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_API = "/gradio_api/"
_FILE = f"{_API}file="
_EVENTS = (f"{_API}call/", f"{_API}queue/join")
_UPLOAD = f"{_API}upload"
_PAGES = {"/", "/config", "/config/", "/theme.css", "/favicon.ico", "/manifest.json", "/robots.txt"}
_BELOW = ("/assets/", "/static/", "/report/", _FILE, *_EVENTS)
_ROUTES = {
    f"{_API}{name}"
    for name in ("info", "info/", "app_id", "queue/data", "upload", "upload_progress", "startup-events", "theme.css",
                 "login_check", "token", "user", "cancel", "reset")
}  # fmt: skip
_HEARTBEAT = f"{_API}heartbeat/"
_ENVELOPE = 4096
"""Bytes that a form may add to the file in it."""


class Gate:
    """Passes on to a server what a page needs, and refuses everything else with a sentence.

    Args:
        app: the server, an ASGI application.
        folder: where uploads and what the page makes of them lie; no path elsewhere is let through.
    """

    def __init__(self, app: Any, folder: Path):
        self._app, self._folder = app, os.path.realpath(folder)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        path, posts = scope["path"], scope["method"] == "POST"
        if not (path in _PAGES | _ROUTES or path.startswith((*_BELOW, _HEARTBEAT))):
            await _refuse(send, 404, "There is no such page.")
        elif path.startswith(_FILE) and not self._is_ours(path.removeprefix(_FILE)):
            await _refuse(send, 403, "This file is none of the page's own.")
        elif posts and path == _UPLOAD and (refusal := _too_large(scope)):
            await _refuse(send, *refusal)
        elif posts and path.startswith(_EVENTS):
            await self._pass_event(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _pass_event(self, scope: Message, receive: Receive, send: Send) -> None:
        body = await _body(receive)
        if body is None:
            await _refuse(send, 413, f"A request may have {REQUEST_LIMIT:,} bytes. Upload photos first.")
            return
        try:
            foreign = any(not self._is_ours(path) for path in _paths(json.loads(body)))
        except (ValueError, RecursionError):
            await _refuse(send, 400, "This is no JSON.")
            return
        if foreign:
            await _refuse(send, 403, f"A file must be uploaded first, to {_UPLOAD}.")
            return
        first: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def again() -> Message:
            return first.pop() if first else await receive()

        await self._app(scope, again, send)

    def _is_ours(self, path: str) -> bool:
        if not os.path.isabs(path) or "\0" in path:
            return False
        return Path(os.path.realpath(path)).is_relative_to(self._folder)


def _paths(content: Any) -> Iterator[str]:
    """Give every path of a file in JSON; one that is no text stands for itself as an empty one."""
    if isinstance(content, dict):
        if "path" in content:
            yield content["path"] if isinstance(content["path"], str) else ""
        content = list(content.values())
    if isinstance(content, list):
        for part in content:
            yield from _paths(part)


def _too_large(scope: Message) -> tuple[int, str] | None:
    length = dict(scope["headers"]).get(b"content-length", b"")
    if not length.isdigit():
        return 411, "An upload must say how long it is."
    if int(length) > UPLOAD_LIMIT + _ENVELOPE:
        return 413, f"A photo may have {UPLOAD_LIMIT // 10**6} MB."
    return None


async def _body(receive: Receive) -> bytes | None:
    """Read a request's body, or give None where it is longer than any event of the page."""
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > REQUEST_LIMIT:
            return None
        if not message.get("more_body"):
            return body


async def _refuse(send: Send, status: int, sentence: str) -> None:
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps({"detail": sentence}).encode()})
