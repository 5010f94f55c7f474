"""What the files of a prediction mean: where they lie, their units and axes, by the names of the programs that write them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from models.teachers.settings import AXES
from models.teachers.weights import digest_files, digest_settings

Name = Literal["depth", "normals", "semantics", "sky"]
ITEM = "{item}"


class PredictedFile(BaseModel):
    """One field of every panorama: a file each."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    """Below the folder, with ``{item}`` for the panorama's name; ``.npz``, ``.npy``, ``.exr`` or ``.png``."""
    key: str = "arr_0"
    """Name of the array in an ``.npz``."""
    unit: Literal["metre", "shared", "inverse"] | None = None
    """Of a depth, along the ray: metres, distances up to one factor a panorama, or inverse distances."""
    factor: float = Field(1.0, gt=0)
    """What the file's numbers of a depth are multiplied by: 0.001 of millimetres in a 16-bit PNG."""
    below: float | None = Field(None, gt=0)
    """Depths from here on, after the factor, are invalid: many programs put the sky at the end of their range."""
    axes: str = "+x+y+z"
    """Where the three channels of normals point in the world (x right, y down, z forward): ``+z-y-x`` is forward, up, left."""

    @model_validator(mode="after")
    def _can_be_found(self) -> PredictedFile:
        if ITEM not in self.path or not self.path.endswith((".npz", ".npy", ".exr", ".png")):
            raise ValueError(f"path: {self.path!r} must hold {ITEM}, and end in .npz, .npy, .exr or .png")
        if not AXES.fullmatch(self.axes) or sorted(self.axes[1::2]) != ["x", "y", "z"]:
            raise ValueError(f"axes: {self.axes!r} is not three signed axes; write for example '+z-y-x'")
        return self


LAYOUTS: Mapping[str, Mapping[Name, Mapping[str, Any]]] = {
    "panolabel": {
        "depth": {"path": "{item}/depth.npy"},
        "normals": {"path": "{item}/normals.npy"},
        "semantics": {"path": "{item}/semantics.png"},
        "sky": {"path": "{item}/sky.png"},
    },
    "pager": {
        "depth": {"path": "depth/preds/{item}.npz", "unit": "metre"},
        "normals": {"path": "normals/preds/{item}.npz", "axes": "+z-y-x"},
    },
    "da2": {"depth": {"path": "{item}.npy", "unit": "shared"}},
    "dap": {"depth": {"path": "depth_npy/{item}.npy", "unit": "metre", "factor": 100.0, "below": 100.0}},
    "moge": {"depth": {"path": "{item}/depth.exr", "unit": "shared"}},
}
"""What programs write: ``export --to files``, PaGeR, DA-2, DAP (1.0 is 100 m; its files are numbered, so give them the panoramas'
names) and MoGe's ``infer_panorama --maps``."""
LABELS = "labels.json"
"""What ``export --to files`` says of all panoramas: classes, and the unit of depth."""


class FilesSettings(BaseModel):
    """Equirectangular predictions that somebody made elsewhere."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: str
    """Where the files lie, on a disk that every worker sees."""
    layout: Literal["panolabel", "pager", "da2", "dap", "moge"] | None = None
    """Who wrote them."""
    depth: PredictedFile | None = None
    normals: PredictedFile | None = None
    semantics: PredictedFile | None = None
    sky: PredictedFile | None = None
    """Files that the layout does not name, or names otherwise."""
    classes: tuple[str, ...] = ()
    """Names of the classes, in the order of their numbers; by default those of ``labels.json``. Larger numbers are no class."""
    contents: str | None = None
    """Says which predictions these are. With it their bytes are not read to see whether one has changed: change it yourself."""
    licence: str | None = None
    """Of the weights that made them, for the receipts."""

    @property
    def files(self) -> dict[Name, PredictedFile]:
        """The file of each field: the layout's, or the own one."""
        own: dict[Name, PredictedFile | None] = {
            "depth": self.depth, "normals": self.normals, "semantics": self.semantics, "sky": self.sky,
        }  # fmt: skip
        known = LAYOUTS[self.layout] if self.layout else {}
        return {name: one or PredictedFile(**known[name]) for name, one in own.items() if one is not None or name in known}

    @model_validator(mode="after")
    def _says_something(self) -> FilesSettings:
        found = self.files
        if not found:
            raise ValueError(f"layout: name the program that wrote the files ({', '.join(LAYOUTS)}), or each field's `path`")
        if "depth" in found and found["depth"].unit is None and self.layout != "panolabel":
            raise ValueError("depth.unit: a file does not say what its numbers are; set it to metre, shared or inverse")
        if self.semantics is not None and not self.classes and self.layout != "panolabel":
            raise ValueError("classes: are required for semantics; name them in the order of their numbers")
        return self


def predictions_folder(settings: FilesSettings) -> Path:
    """The folder. FileNotFoundError if it is not there, or a URL."""
    folder = Path(settings.folder.removeprefix("file://")).expanduser()
    if not folder.is_dir():
        where = settings.folder if "://" in str(folder) else folder.resolve()
        raise FileNotFoundError(f"folder: there is no folder {where} of predictions here; correct the path, or mount it")
    return folder


def predictions_digest(settings: FilesSettings) -> str:
    """sha256 of what all files say, or of ``contents`` in their place."""
    if settings.contents is not None:
        return digest_settings({"contents": settings.contents})
    folder = predictions_folder(settings)
    patterns = sorted({one.path.replace(ITEM, "**/*") for one in settings.files.values()})
    found = {path for pattern in (*patterns, LABELS) for path in folder.glob(pattern)}
    return digest_files((path.relative_to(folder).as_posix(), path) for path in found if path.is_file())
