"""What systems and tools leave in folders, and what is not there yet: none of it is a panorama, whatever its name ends in."""

from __future__ import annotations

FOLDERS = frozenset(
    {"__macosx", "@eadir", "#recycle", "#snapshot", "lost+found", "$recycle.bin", "system volume information", "__pycache__"}
)
"""Names of folders, in lower case: of macOS, Synology, ext4, Windows. Hidden ones (``.thumbnails``, ``.git``) are left too."""
PARTS = (".part", ".partial", ".crdownload", ".download", ".filepart", ".tmp", ".temp", ".icloud", ".dvc", ".aria2", ".swp")
"""Ends of the names of files that are not whole, or stand for one that is kept elsewhere."""


def is_left_folder(name: str) -> bool:
    """Whether a folder of that name belongs to a system or a tool."""
    return name.startswith(".") or name.lower() in FOLDERS


def is_left(path: str) -> bool:
    """Whether a file at that path below a source was left by a system or a tool, or is not whole."""
    *folders, name = path.split("/")
    return name.startswith((".", "~$")) or name.lower().endswith(PARTS) or any(map(is_left_folder, folders))
