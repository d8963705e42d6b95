"""The memory that is left to this process."""

from pathlib import Path

import psutil

CONTAINER_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def available_bytes() -> int:
    """Give the memory that this process can still take: the machine's, or its container's if that is less."""
    limits = [int(text) for text in map(_read, CONTAINER_LIMITS) if text.isdigit()]
    used = psutil.Process().memory_info().rss
    return min([psutil.virtual_memory().available, *(limit - used for limit in limits)])


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""
