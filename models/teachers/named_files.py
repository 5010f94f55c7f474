"""The files and folders that a teacher's settings name, under whatever key, at whatever depth."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

MOST_FILES = 10_000
"""Files below a named folder: with more it is hardly one of weights."""
LIKE_A_PATH = re.compile(r"(?:~|\.{0,2})[/\\].*|[^\s:]*\.[A-Za-z]\w{0,11}", re.DOTALL)
PATH_KEYS = ("weights", "file", "checkpoint", "model_path")
"""Settings that hold a path, even if it is a bare word."""
URL = re.compile(r"[A-Za-z][\w+.-]*://")


def settings_strings(settings: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Every string in settings with the key that leads to it, as ``heads.0.file``."""
    if isinstance(settings, str):
        yield key, settings
    elif isinstance(settings, Mapping):
        for name, value in settings.items():
            yield from settings_strings(value, f"{key}.{name}" if key else str(name))
    elif isinstance(settings, (list, tuple)):
        for index, value in enumerate(settings):
            yield from settings_strings(value, f"{key}.{index}")


def local_path(text: str) -> Path | None:
    """Where a setting points on this machine: ``~`` is one's home, ``file://`` is dropped; None for other URLs and non-paths."""
    if text.startswith("file://"):
        text = text.removeprefix("file://")
    if not text.strip() or "\n" in text or "\0" in text or len(text) > 4096 or URL.match(text):
        return None
    return Path(text).expanduser() if text.strip() not in (".", "..", "/", "~") else None


def named_files(settings: Mapping[str, Any]) -> Iterator[tuple[str, Path]]:
    """Every existing file that settings name, with its key; of a folder, all files in it.

    A bare word is no folder's name: a variant ``models`` must not take in whatever folder is called so where a run starts.

    Raises
    ------
    ValueError
        A named folder holds more than ``MOST_FILES``.
    """
    for key, text in settings_strings(settings):
        path = local_path(text)
        if path is None:
            continue
        try:
            is_file, is_folder = path.is_file(), path.is_dir()
        except OSError:  # a text that no file system takes for a name
            continue
        if is_file:
            yield key, path
        elif is_folder and _is_path(key, text):
            for count, inner in enumerate(sorted(path.rglob("*"))):
                if count >= MOST_FILES:
                    raise ValueError(
                        f"{key}: the folder {path} holds more than {MOST_FILES} files, too many to tell whether what the teacher "
                        "knows has changed; name a smaller one, or give the teacher's module a function weights_digest(settings)"
                    )
                if inner.is_file():
                    yield f"{key}/{inner.relative_to(path).as_posix()}", inner


def _holds_a_path(key: str) -> bool:
    return key.split(".")[0] in PATH_KEYS


def _is_path(key: str, text: str) -> bool:
    """Whether a text may mean a folder: it is written as a path, or stands where there is nothing else than paths."""
    text = as_written(text)
    return _holds_a_path(key) or text.startswith(("~", ".", "file://")) or "/" in text or "\\" in text


def as_written(text: str) -> str:
    """A text as the config has it: its ``./words`` may be found as ``words``, seen from here."""
    written: str = getattr(text, "written", text)
    return written


def missing_files(settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Key and text of settings that look like the path of a file that is not there."""
    for key, text in settings_strings(settings):
        path = local_path(text)
        if path is None or not (_holds_a_path(key) or LIKE_A_PATH.fullmatch(as_written(text).removeprefix("file://"))):
            continue
        try:
            if not path.exists():
                yield key, text
        except OSError:
            yield key, text


def require_weights(settings: Mapping[str, Any]) -> None:
    """FileNotFoundError if a setting that holds the path of weights is written as a path of this machine, where nothing lies.

    Other words in their place may be names that the teacher knows how to find.
    """
    for key, text in missing_files(settings):
        if _holds_a_path(key) and as_written(text).startswith(("/", "~", "./", "../", "file://")):
            raise FileNotFoundError(f"{key}: there is no {text} on this machine; put it there, or correct settings.{key}")
