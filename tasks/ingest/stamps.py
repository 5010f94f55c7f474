"""What tells, without reading a file, whether it is as it was: whatever a store says of its files, in whatever words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

TAGS = (
    *("ETag", "etag", "e_tag", "Content-MD5", "content_md5", "md5", "md5Hash", "md5_hash", "Digest", "crc32c"),
    *("blob_id", "xet_hash", "sha", "hex", "CRC", "checksum"),
)
"""Names under which fsspec's file systems give a digest of the contents: S3, Azure, Google, HTTP, the hub, GitHub, git, zip."""
TIMES = (
    *("mtime", "LastModified", "Last-Modified", "last_modified", "updated", "modified", "timeModified", "last_write_time"),
    *("modify", "modificationTime", "modification_time", "date_time", "created"),
)
"""Names of the time of the last change. ``created`` comes last: in memory a file that is written anew is a new file."""

RANKS = {key: rank for rank, key in enumerate((*TAGS, *TIMES))}


def stamp_of(about: Mapping[str, Any]) -> str:
    """Entity tag or modification time of a file, from what fsspec says of it; empty if it says neither."""
    told = [key for key, value in about.items() if key in RANKS and value not in (None, "", b"")]
    return str(about[min(told, key=RANKS.__getitem__)]) if told else ""


def changed_at(about: Mapping[str, Any]) -> float | None:
    """When a file was last changed, in seconds since the epoch; None if the file system does not say, or not in known words."""
    stamp = next((about[key] for key in TIMES if about.get(key) not in (None, "", b"")), None)
    if isinstance(stamp, str):
        stamp = _parsed(stamp)
    if isinstance(stamp, datetime):
        return stamp.timestamp()
    return float(stamp) if isinstance(stamp, int | float) else None


def _parsed(text: str) -> datetime | None:
    """The time in a text of ISO 8601, or of an HTTP header."""
    for parse in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            return parse(text)
        except ValueError:
            continue
    return None
