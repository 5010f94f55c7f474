"""What a source holds: the panoramas of a folder, a glob, a bucket or a list, without reading any of them."""

from __future__ import annotations

from collections.abc import Sequence

from storage.retries import StoreError
from tasks.ingest.entries import Entries, Found, SourceError, in_order, without_clashes
from tasks.ingest.folders import PICTURES, Wanted, look_at_folder
from tasks.ingest.lists import is_list, look_at_list


def list_source(url: str, allow: Sequence[str] = ()) -> Entries:
    """All panoramas of a source, sorted by item; see :func:`look_at_source`."""
    return look_at_source(url, allow).entries


def look_at_source(url: str, allow: Sequence[str] = (), strict: bool = True, wanted: Wanted = PICTURES) -> Found:
    """All panoramas of a source, sorted by item, and what was passed over; without ``strict`` also what would stop a run.

    An item is named by its path below the source's folder, without the suffix. A list (.csv, .tsv, .parquet, .jsonl) has a column
    ``uri`` (relative to the list, or absolute), and may have ``item`` and ``split``; its other columns become capture metadata.
    Beside a file, ``<name>.json`` may hold capture metadata too. Local files that a list names, and that links lead to, must
    lie below the source's folder, or below one of ``allow``.

    Raises
    ------
    SourceError
        Nothing is there, a list is malformed, or two files would get the same item name.
    """
    try:
        found = look_at_list(url, allow) if is_list(url) else look_at_folder(url, allow, wanted)
    except StoreError:  # says itself what is wrong
        raise
    except UnicodeEncodeError as error:
        why = "the path of one of its files holds bytes that are no UTF-8; rename the folder that is called so"
        raise SourceError(f"source {url}: {why}") from error
    except OSError as error:
        raise SourceError(f"source {url}: {_why(error)}") from error
    if strict:
        return Found(in_order(url, found.entries), found.notes)
    rest = without_clashes(url, found.entries)
    return Found(rest.entries, (*rest.notes, *found.notes))


def _why(error: OSError) -> str:
    """What an error of a file system means for a source, and what to do."""
    seen = f"{type(error).__name__}: {error}"[:200]
    if isinstance(error, FileNotFoundError):
        return f"there is no such file or folder ({seen}); correct the URL, or mount the disk that holds it"
    if isinstance(error, PermissionError):
        return f"may not be read by the user who runs this ({seen}); give the right to read it"
    if isinstance(error, (ConnectionError, TimeoutError)):
        return f"its server cannot be reached ({seen}); check the URL, the network and the server"
    return f"cannot be listed ({seen}); correct the URL, or look at what holds it"
