"""The order in which places for caches are tried."""

from pathlib import Path

import platformdirs
import pytest

from unfreeze.data.cache_folder import cache_folder


def test_own_variable_wins_then_xdg_then_the_platform(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNFREEZE_CACHE", "/fast/cache")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache_folder() == Path("/fast/cache")
    monkeypatch.setenv("UNFREEZE_CACHE", "")
    assert cache_folder() == Path("/xdg/unfreeze")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == platformdirs.user_cache_path("unfreeze", appauthor=False)


def test_home_is_expanded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNFREEZE_CACHE", "~/cache")
    assert cache_folder() == Path.home() / "cache"
