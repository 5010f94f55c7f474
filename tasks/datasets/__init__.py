"""Public data sets by the name of their kind of source."""

from tasks.datasets.cityscapes import CITYSCAPES, DENSEPASS
from tasks.datasets.dataset import DataSet
from tasks.datasets.matterport3d360 import MATTERPORT3D360
from tasks.datasets.panoinfinigen import PANOINFINIGEN
from tasks.datasets.replica360_4k import REPLICA360_4K
from tasks.datasets.stanford2d3ds import STANFORD2D3DS
from tasks.datasets.structured3d import STRUCTURED3D
from tasks.datasets.zuripano import ZURIPANO

DATA_SETS: dict[str, DataSet] = {
    "cityscapes": CITYSCAPES,
    "densepass": DENSEPASS,
    "matterport3d360": MATTERPORT3D360,
    "panoinfinigen": PANOINFINIGEN,
    "replica360_4k": REPLICA360_4K,
    "stanford2d3ds": STANFORD2D3DS,
    "structured3d": STRUCTURED3D,
    "zuripano": ZURIPANO,
}
