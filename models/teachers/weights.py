"""Where a teacher's weights lie, and the digest that stands for them in fingerprints."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from models.teachers.settings import TransformersSettings

DEMO = Path(__file__).parent / "demo"
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
COMMIT = re.compile(r"[0-9a-f]{40}")
TENSORS = ("*.safetensors", "*.bin")
DIGESTED = (*TENSORS, "config.json", "preprocessor_config.json")
DOWNLOADED = ("*.json", "*.txt")


def model_folder(settings: TransformersSettings) -> Path:
    """The local folder with a model's ``config.json`` and weights; a hub model is downloaded if need be.

    Raises
    ------
    ValueError
        A hub id comes without a pinned commit.
    FileNotFoundError
        There are no weights; says where it looked and how to get them.
    """
    local = DEMO if settings.model == "demo" else Path(settings.model).expanduser()
    if local.is_dir():
        if not _complete(local):
            raise FileNotFoundError(
                f"model: the folder {local} lacks config.json or weights ({' or '.join(TENSORS)}); save a model there "
                "with save_pretrained, or copy all files of the hub repository"
            )
        return local
    if settings.model == "demo" or not HUB_ID.fullmatch(settings.model):
        raise FileNotFoundError(
            f"model: there is no folder {local.resolve()}; give the folder of a model saved with save_pretrained, a hub id "
            "such as 'depth-anything/Depth-Anything-V2-Small-hf' with its revision, or 'demo'"
        )
    return _snapshot(settings.model, settings.revision)


def _snapshot(repository: str, revision: str | None) -> Path:
    if revision is None or not COMMIT.fullmatch(revision):
        raise ValueError(
            f"revision: hub model {repository!r} needs a pinned commit of 40 hex digits, got {revision!r}, because a branch may "
            f"move under finished labels; copy one from https://huggingface.co/{repository}/commits/main "
            f"(or, if you meant a folder, there is none at {Path(repository).resolve()})"
        )
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    offline = os.environ.get("HF_HUB_OFFLINE", "0").upper() in ("1", "ON", "YES", "TRUE")
    # The cache comes first, so that planning needs no network; safetensors before the pickles of the same weights.
    for local_only, tensors in [(True, TENSORS), (False, TENSORS[:1]), (False, TENSORS)]:
        if offline and not local_only:
            break
        wanted = [*DOWNLOADED, *tensors]
        try:
            folder = Path(snapshot_download(repository, revision=revision, local_files_only=local_only, allow_patterns=wanted))
        except LocalEntryNotFoundError:
            continue
        if _complete(folder):
            return folder
    from huggingface_hub.constants import HF_HUB_CACHE

    raise FileNotFoundError(
        f"model: the weights of {repository!r} at {revision} are not in the cache {HF_HUB_CACHE}"
        + (" and HF_HUB_OFFLINE is set" if offline else " and could not be downloaded")
        + f"; run `hf download {repository} --revision {revision}` where there is a network, or give a local folder"
    )


def _complete(folder: Path) -> bool:
    """Whether a folder has a config and all its weights; an interrupted download lacks shards that its index names."""
    names = set(os.listdir(folder))
    shards = {
        shard
        for index in folder.glob("*.index.json")
        for shard in json.loads(index.read_text(encoding="utf-8")).get("weight_map", {}).values()
    }
    has_tensors = any(name.endswith((".safetensors", ".bin")) for name in names)
    safe = {shard for shard in shards if shard.endswith(".safetensors")}
    return "config.json" in names and has_tensors and (safe or shards) <= names


def model_file(path: str, key: str = "file") -> Path:
    """An existing file that a setting names.

    Raises
    ------
    FileNotFoundError
        Names the key and where it looked.
    """
    found = Path(path).expanduser()
    if not found.is_file():
        raise FileNotFoundError(f"{key}: there is no file {found.resolve()}; download it there, or correct the path")
    return found


def digest_folder(folder: Path) -> str:
    """sha256 over the sorted (name, sha256) of a folder's weights and the two JSON files that say how to use them."""
    return digest_files((path.relative_to(folder).as_posix(), path) for pattern in DIGESTED for path in folder.glob(pattern))


def digest_files(files: Iterable[tuple[str, Path]]) -> str:
    """sha256 over the sorted (name, sha256) of files."""
    lines = sorted((name, _digest_file(path)) for name, path in files)
    return hashlib.sha256(json.dumps(lines).encode()).hexdigest()


def digest_settings(settings: Mapping[str, Any]) -> str:
    """sha256 of settings as canonical JSON."""
    return hashlib.sha256(canonical_json(settings).encode()).hexdigest()


def canonical_json(settings: Mapping[str, Any]) -> str:
    """Settings as JSON that does not depend on the order of keys."""
    return json.dumps(settings, sort_keys=True, separators=(",", ":"), default=str)


def _digest_file(path: Path) -> str:
    state = path.stat()
    return _digest_contents(str(path.resolve()), state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=4096)
def _digest_contents(path: str, _size: int, _mtime_ns: int) -> str:
    # Size and time are part of the key only: a file that has neither changed is not read again.
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
