"""What an item may be called."""

from __future__ import annotations

import re
import unicodedata

DRIVE = re.compile(r"[A-Za-z]:(?!:)")
PLAIN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_. -]{0,100}(?:/[A-Za-z0-9_-][A-Za-z0-9_. -]{0,100}){0,8}")
"""Most names: nothing else need be asked of them."""
BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that make a terminal or browser show a name backwards."""


def unsafe_name(name: str) -> str:
    """Why an item may not have this name, as the rest of a sentence that starts with it; empty if it may.

    Names become parts of paths, of URLs and of what terminals show, on this system and on others.
    """
    if PLAIN.fullmatch(name):
        return ""
    parts = name.split("/")
    if any(part in ("", ".", "..") for part in parts) or "\\" in name or DRIVE.match(name):
        return "may not leave its folder: it has an empty part, '.', '..', a backslash or a drive letter"
    if any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") or letter in BIDI for letter in name):
        return "may not hold control characters or bytes that are no UTF-8"
    if len(name.encode()) > 1024 or any(len(part.encode()) > 240 for part in parts):
        return "is longer than file systems allow (240 bytes a part, 1024 in all)"
    return ""
