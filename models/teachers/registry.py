"""Teachers by kind: a table of loaders, one load per process, and the digest of what a kind depends on."""

from __future__ import annotations

import difflib
import importlib
import threading
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

from models.teachers.base import Loader, Sees, Teacher, WantedViews
from models.teachers.named_files import named_files, require_weights
from models.teachers.plugin_code import code_of
from models.teachers.settings import FileSettings, LitertSettings, OnnxSettings, TransformersSettings, parse
from models.teachers.weights import (
    DIGESTED,
    LOCAL,
    canonical_json,
    digest_files,
    digest_folder,
    digest_settings,
    is_local,
    model_file,
    model_folder,
    onnx_files,
)

KINDS = {
    "transformers": "models.teachers.hub.adapter:load",
    "onnx": "models.teachers.files.onnx:load",
    "litert": "models.teachers.files.litert:load",
    "cubemap": "models.teachers.panoramic.cubemap:load",
    "files": "models.teachers.panoramic.files:load",
    "scenes": "scenes.teacher:load",
}
"""Where the loader of each kind is; names, so that nothing is imported before it is needed."""

READS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("transformers", "onnx", "litert", "cubemap"), ()),
    "files": ("name",),
    "scenes": ("name", "metadata.scene", "metadata.seed", "metadata.position", "metadata.heading"),
}
"""What teachers read of an item beyond pixels. Networks read nothing; what the scenes say wrong is seeded by the name."""
SEES: dict[str, Sees] = {"cubemap": "views", "files": "panorama"}
"""What teachers see in one call; ``patches`` where nothing is said."""
WANTS = {kind: f"models.teachers.panoramic.{kind}:wanted_views" for kind in SEES}
"""Where the function is that says which views a teacher must be asked through."""
FILE_KINDS: dict[str, type[FileSettings]] = {"onnx": OnnxSettings, "litert": LitertSettings}
KEPT = 4
"""Teachers that a process holds at most."""

_loaded: OrderedDict[tuple[str, ...], Teacher] = OrderedDict()
_lock = threading.RLock()


def load_teacher(kind: str, settings: Mapping[str, Any], device: str) -> Teacher:
    """A teacher, loaded once per process for the same kind, settings, weights and device.

    Parameters
    ----------
    kind : str
        A key of :data:`KINDS`, or ``package.module:function`` of one's own with the signature of
        :class:`~models.teachers.base.Loader`.
    settings : mapping
        What belongs to the kind; see :mod:`models.teachers.settings`.
    device : str
        ``cpu`` or a torch device.

    Raises
    ------
    ValueError
        Unknown kind or setting.
    FileNotFoundError
        The weights are not there; the message says how to get them.
    """
    key = (kind, canonical_json(settings), weights_digest(kind, settings), device)
    with _lock:
        if key not in _loaded:
            _loaded[key] = resolve(kind)(settings, device)
            while len(_loaded) > KEPT:
                _loaded.popitem(last=False)
        _loaded.move_to_end(key)
        return _loaded[key]


def weights_digest(kind: str, settings: Mapping[str, Any]) -> str:
    """sha256 of what a teacher knows: its weights, or its settings where these are all there is.

    A teacher of one's own is digested by its module's ``weights_digest(settings)`` if it has one, else by its code (see
    :mod:`models.teachers.plugin_code`), the settings without ``batch_size``, and every file and folder that these name.
    """
    if kind == "transformers":
        parsed = parse(TransformersSettings, settings, kind)
        return digest_folder(model_folder(parsed), LOCAL if is_local(parsed) else DIGESTED)
    if kind in FILE_KINDS:
        return digest_files((path.name, path) for path in _model_files(kind, parse(FILE_KINDS[kind], settings, kind)))
    if kind == "cubemap":
        from models.teachers.panoramic.settings import CubemapSettings, cubemap_digest  # imports torch, which others need not

        return cubemap_digest(parse(CubemapSettings, settings, kind))
    if kind == "files":
        from models.teachers.panoramic.predictions import FilesSettings, predictions_digest

        return predictions_digest(parse(FilesSettings, settings, kind))
    if kind in KINDS:  # what scenes say is made by code alone
        return digest_settings({"settings": settings, "code": code_of(KINDS[kind].partition(":")[0], alone=True)["modules"]})
    return _own_digest(kind, settings)


def facts_read(kind: str) -> tuple[str, ...]:
    """What a teacher reads of an item beyond the pixels of its patches: ``name``, ``metadata``, or single values of that, such as
    ``metadata.position``.

    A teacher of one's own has a tuple of these as ``READS`` in its module; one that has none is taken to read the name and all
    metadata.
    """
    if kind in READS:
        return READS[kind]
    return tuple(getattr(_module(kind), "READS", ("name", "metadata")))


def sees(kind: str) -> Sees:
    """What a teacher sees in one call; a teacher of one's own says it as ``SEES`` in its module, and sees ``patches`` else.

    Raises
    ------
    ValueError
        Its module says something else.
    """
    said: Any = SEES.get(kind, "patches") if kind in KINDS else getattr(_module(kind), "SEES", "patches")
    if said not in get_args(Sees):
        raise ValueError(f"kind: {kind} has SEES = {said!r}; write one of {', '.join(get_args(Sees))}")
    found: Sees = said
    return found


def wanted_views(kind: str, settings: Mapping[str, Any]) -> WantedViews:
    """The views that a teacher must be asked through: what the function ``wanted_views(settings)`` of its module says, if it has
    one. May read the head of its weights, and raise as loading would.
    """
    if kind in WANTS:
        module, _, name = WANTS[kind].partition(":")
        wanted = getattr(importlib.import_module(module), name)
    else:
        wanted = None if kind in KINDS else getattr(_module(kind), "wanted_views", None)
    found: WantedViews = WantedViews() if wanted is None else wanted(settings)
    return found


def resolve(kind: str) -> Loader:
    """The loader that a kind names, imported now.

    Raises
    ------
    ValueError
        Unknown kind, or no such module or function.
    """
    path = KINDS.get(kind, kind)
    module_name, _, function = path.partition(":")
    if not function:
        nearest = difflib.get_close_matches(kind, KINDS, n=1, cutoff=0.0)[0]
        raise ValueError(
            f"kind: unknown teacher {kind!r}; did you mean {nearest!r}? Known: {', '.join(KINDS)}, or 'package.module:function'"
        )
    try:
        loader: Loader = getattr(importlib.import_module(module_name), function)
    except (ModuleNotFoundError, AttributeError) as error:
        # A missing dependency of an existing module is the reader's business too, so it is part of the message.
        raise ValueError(f"kind: {path!r} cannot be loaded ({error}); check the names and the installation") from error
    return loader


def _model_files(kind: str, settings: FileSettings) -> list[Path]:
    names = [model_file(settings.classes, "classes")] if isinstance(settings.classes, str) else []
    network = model_file(settings.file)
    return [*(onnx_files(network) if kind == "onnx" else [network]), *names]


def _module(kind: str) -> ModuleType:
    """The module of the loader of a teacher of one's own."""
    resolve(kind)
    return importlib.import_module(kind.partition(":")[0])


def _own_digest(kind: str, settings: Mapping[str, Any]) -> str:
    module = _module(kind)
    if hasattr(module, "weights_digest"):
        return str(module.weights_digest(settings))
    require_weights(settings)
    knowing = {key: value for key, value in settings.items() if key != "batch_size"}
    return digest_settings({"settings": knowing, "files": digest_files(named_files(settings)), "code": code_of(module.__name__)})
