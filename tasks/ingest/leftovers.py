"""What systems and tools leave in folders, and what is not there yet: none of it is a panorama, whatever its name ends in."""

from __future__ import annotations

import re
from functools import lru_cache

FOLDERS = frozenset(
    {
        *("__macosx", "network trash folder", "temporary items", "lost+found", "__pycache__", "_gsdata_"),
        *("@eadir", "#recycle", "#snapshot", "@recycle", "@recently-snapshot", "@sharebin"),
        *("$recycle.bin", "recycled", "recycler", "system volume information"),
    }
)
"""Names of folders, in lower case: of macOS, ext4, Python, GoodSync; Synology and QNAP; Windows. Hidden ones are left too."""
LIBRARY = re.compile(r"found\.\d{3}|.*\.(lrdata|photoslibrary|photolibrary|aplibrary|migratedphotolibrary)")
"""Folders of chkdsk, and those in which programs keep previews and copies."""
PARTS = (".part", ".partial", ".crdownload", ".download", ".filepart", ".tmp", ".temp", ".icloud", ".dvc", ".aria2", ".swp")
"""Ends of the names of files that are not whole, or stand for one that is kept elsewhere."""


def is_left_folder(name: str) -> bool:
    """Whether a folder of that name belongs to a system or a tool."""
    return name.startswith(".") or name.lower() in FOLDERS or LIBRARY.fullmatch(name.lower()) is not None


def is_left(path: str) -> bool:
    """Whether a file at that path below a source was left by a system or a tool, or is not whole."""
    folder, _, name = path.rpartition("/")
    return name.startswith((".", "~$")) or name.lower().endswith(PARTS) or _is_within_left(folder)


@lru_cache(maxsize=1024)
def _is_within_left(folder: str) -> bool:
    return any(map(is_left_folder, folder.split("/")))
