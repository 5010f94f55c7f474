"""Public data sets by the name of their kind of source."""

from tasks.ingest.datasets.cityscapes import CITYSCAPES, DENSEPASS
from tasks.ingest.datasets.dataset import DataSet
from tasks.ingest.datasets.matterport3d360 import MATTERPORT3D360
from tasks.ingest.datasets.panoinfinigen import PANOINFINIGEN
from tasks.ingest.datasets.replica360_4k import REPLICA360_4K
from tasks.ingest.datasets.stanford2d3ds import STANFORD2D3DS
from tasks.ingest.datasets.structured3d import STRUCTURED3D
from tasks.ingest.datasets.zuripano import ZURIPANO

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
