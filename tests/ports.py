"""Ports on this machine, for tests of several processes."""

import socket
import time
from contextlib import suppress


def free_port() -> int:
    """Give a port where nobody listens now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def wait_for(port: int) -> None:
    """Wait until somebody listens there, a minute at most."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with suppress(OSError):
            return socket.create_connection(("127.0.0.1", port)).close()
        time.sleep(0.2)
