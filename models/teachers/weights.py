"""Where a teacher's weights lie, and the digest that stands for them in fingerprints."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from models.teachers.settings import TransformersSettings

DEMO = Path(__file__).parent / "demo"
CUBEMAP = Path(__file__).parent / "cubemap"
SHIPPED = {"demo": DEMO, "cubemap": CUBEMAP}
"""Folders of the networks that ship with panolabel, by their names: one sees patches, the other six faces."""
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
COMMIT = re.compile(r"[0-9a-f]{40}")
TENSORS = ("*.safetensors", "*.bin")
DIGESTED = (*TENSORS, "config.json", "preprocessor_config.json")
LOCAL = (
    *DIGESTED,
    *("processor_config.json", "*.safetensors.index.json", "adapter_config.json"),
    *("tokenizer*", "special_tokens_map.json", "added_tokens.json", "vocab.*", "merges.txt", "*.model"),
)
"""What `transformers` reads of a folder besides; in a hub repository the commit fixes it, and the commit is in the settings."""
DOWNLOADED = ("*.json", "*.txt", "README.md")
"""The model card too: it states the licence."""
PICKLE_NAMES = ("pytorch_model.bin", "pytorch_model.bin.index.json")
PICKLE_ENDINGS = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", *PICKLE_NAMES)
"""Checkpoints that can carry code. They are read only where ``model`` names the file itself, and only those of `transformers`."""


def model_folder(settings: TransformersSettings) -> Path:
    """The local folder with a model's ``config.json`` and weights; a hub model is downloaded if need be.

    Weights are safetensors. A pickled checkpoint must be asked for by name: ``model: folder/pytorch_model.bin``.

    Raises
    ------
    ValueError
        A hub id comes without a pinned commit, or there is only a pickled checkpoint that was not asked for.
    FileNotFoundError
        There are no weights; says where it looked and how to get them.
    """
    place, pickled = _asked_for(settings.model)
    local = DEMO if place == "demo" else Path(place).expanduser()
    if local.is_dir():
        if not _complete(local, pickled):
            _refuse_pickles(local)
            raise FileNotFoundError(
                f"model: the folder {local} lacks config.json or weights (*.safetensors); save a model there with "
                "save_pretrained, or copy all files of the hub repository"
            )
        return local
    if place == "demo" or not HUB_ID.fullmatch(place):
        raise FileNotFoundError(
            f"model: there is no folder {local.resolve()}; give the folder of a model saved with save_pretrained, a hub id "
            "such as 'depth-anything/Depth-Anything-V2-Small-hf' with its revision, or 'demo'"
        )
    wanted = [*DOWNLOADED, "*.bin" if pickled else "*.safetensors"]
    more = "" if pickled else f"; if it has no safetensors and you trust it, write model: {place}/{PICKLE_NAMES[0]}"
    return snapshot(place, settings.revision, wanted, lambda folder: _complete(folder, pickled), more)


def _asked_for(model: str) -> tuple[str, bool]:
    """The folder or hub id, and whether the setting names a pickled checkpoint in it."""
    place, _, name = model.rpartition("/")
    if not name.lower().endswith(PICKLE_ENDINGS) or Path(model).expanduser().is_dir():
        return model, False
    if name not in PICKLE_NAMES:
        raise ValueError(
            f"model: {model!r} is a pickled checkpoint, which can carry code and is not read; load it where you trust it and "
            "save it as safetensors with save_pretrained(folder), then give that folder"
        )
    return place or ".", True


def _refuse_pickles(folder: Path) -> None:
    pickles = sorted(name for name in os.listdir(folder) if name.lower().endswith(PICKLE_ENDINGS))
    if pickles and not any(folder.glob("*.safetensors")):
        raise ValueError(
            f"model: the folder {folder} holds only a pickled checkpoint ({pickles[0]}), which can carry code; save it as "
            "safetensors (model.save_pretrained(folder)), take a revision of the hub repository that has them, or, if you trust "
            f"where it comes from, ask for it by name: model: {folder / PICKLE_NAMES[0]}"
        )


def snapshot(
    repository: str, revision: str | None, wanted: Sequence[str], is_whole: Callable[[Path], bool], more: str = ""
) -> Path:
    """The local folder of a repository of the hub at a pinned commit, downloaded if the cache lacks it.

    Parameters
    ----------
    repository : hub id
    revision : commit
    wanted : patterns of the files to download
    is_whole : whether a folder holds all that is needed
    more : what else to try, for the message

    Raises
    ------
    ValueError
        The revision is no commit.
    FileNotFoundError
        The files are not in the cache, and could not be downloaded.
    """
    if revision is None or not COMMIT.fullmatch(revision):
        raise ValueError(
            f"revision: hub model {repository!r} needs a pinned commit of 40 hex digits, got {revision!r}, because a branch may "
            f"move under finished labels; copy one from https://huggingface.co/{repository}/commits/main "
            f"(or, if you meant a folder, there is none at {Path(repository).resolve()})"
        )
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    offline = os.environ.get("HF_HUB_OFFLINE", "0").upper() in ("1", "ON", "YES", "TRUE")
    for local_only in (True,) if offline else (True, False):  # the cache comes first, so that planning needs no network
        try:
            folder = Path(snapshot_download(repository, revision=revision, local_files_only=local_only, allow_patterns=[*wanted]))
        except LocalEntryNotFoundError:
            continue
        if is_whole(folder):
            return folder
    from huggingface_hub.constants import HF_HUB_CACHE

    raise FileNotFoundError(
        f"model: the weights of {repository!r} at {revision} are not in the cache {HF_HUB_CACHE}"
        + (" and HF_HUB_OFFLINE is set" if offline else " and could not be downloaded")
        + f"; run `hf download {repository} --revision {revision}` where there is a network, or give a local folder{more}"
    )


def _complete(folder: Path, pickled: bool) -> bool:
    """Whether a folder has a config and all its weights; an interrupted download lacks shards that its index names.

    With ``pickled`` there must be no safetensors, which would be loaded in the pickle's place.
    """
    names = set(os.listdir(folder))
    ending = ".bin" if pickled else ".safetensors"
    shards = {
        shard
        for index in folder.glob(f"*{ending}.index.json")
        for shard in json.loads(index.read_text(encoding="utf-8")).get("weight_map", {}).values()
    }
    has_tensors = any(name.endswith(ending) for name in names)
    alone = not pickled or not any(name.endswith(".safetensors") for name in names)
    return "config.json" in names and has_tensors and alone and shards <= names


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


def onnx_files(path: Path) -> list[Path]:
    """An ONNX file and those in its folder that hold its weights: the file tells their names, as plain text."""
    content = path.read_bytes()
    beside = (file for file in path.parent.rglob("*") if file.is_file() and file != path)
    return [path, *(file for file in beside if file.relative_to(path.parent).as_posix().encode() in content)]


def is_local(settings: TransformersSettings) -> bool:
    """Whether ``model`` names a folder, not a hub repository."""
    place, _ = _asked_for(settings.model)
    return place == "demo" or Path(place).expanduser().is_dir()


def digest_folder(folder: Path, patterns: Sequence[str] = DIGESTED) -> str:
    """sha256 over the sorted (name, sha256) of a folder's weights and the files that say how to use them."""
    found = {path for pattern in patterns for path in folder.glob(pattern) if path.is_file()}
    return digest_files((path.relative_to(folder).as_posix(), path) for path in found)


def digest_files(files: Iterable[tuple[str, Path]]) -> str:
    """sha256 over the sorted (name, sha256) of files."""
    lines = sorted((name, digest_file(path)) for name, path in files)
    return hashlib.sha256(json.dumps(lines).encode()).hexdigest()


def digest_settings(settings: Mapping[str, Any]) -> str:
    """sha256 of settings as canonical JSON; a place in them as it was written, wherever that lies seen from here."""
    return hashlib.sha256(canonical_json(_as_written(settings)).encode()).hexdigest()


def _as_written(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _as_written(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_written(inner) for inner in value]
    return getattr(value, "written", value)


def canonical_json(settings: Mapping[str, Any]) -> str:
    """Settings as JSON that does not depend on the order of keys."""
    return json.dumps(settings, sort_keys=True, separators=(",", ":"), default=str)


def digest_file(path: Path) -> str:
    """sha256 of a file; one whose size and time are unchanged is not read again."""
    state = path.stat()
    return _digest_contents(str(path.resolve()), state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=1 << 17)
def _digest_contents(path: str, _size: int, _mtime_ns: int) -> str:
    # Size and time are part of the key only: a file that has neither changed is not read again.
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
