from __future__ import annotations

import pytest

from seqmelody import cache
from seqmelody.cache import cache_folder


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {"XDG_CACHE_HOME": "/x"}, "/x/seqmelody"),
        ("linux", {}, "/home/me/.cache/seqmelody"),
        ("darwin", {}, "/home/me/Library/Caches/seqmelody"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/seqmelody"),
        ("linux", {"SEQMELODY_CACHE": "/chosen", "XDG_CACHE_HOME": "/x"}, "/chosen"),
    ],
)
def test_where_the_cache_is(monkeypatch, platform, variables, expected):
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA", "SEQMELODY_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setattr(cache.sys, "platform", platform)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert cache_folder().as_posix() == expected
