"""What tells, without reading a file, whether it is as it was: whatever a store says of its files, in whatever words."""

from __future__ import annotations

from collections.abc import Mapping
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


def stamp_of(about: Mapping[str, Any]) -> str:
    """Entity tag or modification time of a file, from what fsspec says of it; empty if it says neither."""
    for key in (*TAGS, *TIMES):
        if about.get(key) not in (None, "", b""):
            return str(about[key])
    return ""
