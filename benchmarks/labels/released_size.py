"""One panorama through a network of the size that PaGeR released, in bfloat16, on this machine: seconds and memory.

``python -m benchmarks.labels.released_size > benchmarks/results/labels/released_size.md``. Weights are random and in the released
names: it shows what the size costs, not what the weights know. The checkpoint (2.8 GB) is written to a temporary folder.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from benchmarks.machine import machine
from models.cubemap.configuration import CubemapConfig
from models.cubemap.network import CubemapNetwork, initialise
from models.teachers.panoramic.cubemap import CubemapTeacher, load
from tasks.predict.faces import said_of_faces

HEIGHT = 1024
YAML = "log_depth: true\nvalid_conv_padding: true\nface_size: 504\n"
ASK = "import sys; from benchmarks.labels.released_size import ask; ask(sys.argv[1])"


def write(folder: Path) -> int:
    """A checkpoint as released but for its values; returns the number of parameters."""
    torch.set_default_dtype(torch.bfloat16)
    network = CubemapNetwork(CubemapConfig())
    torch.set_default_dtype(torch.float32)
    initialise(network, torch.Generator().manual_seed(0))
    save_file({name: value.contiguous() for name, value in network.state_dict().items()}, folder / "model.safetensors")
    (folder / "config.yaml").write_text(YAML)
    return sum(one.numel() for one in network.parameters())


def ask(folder: str) -> None:
    """Label one panorama and print what it took, as JSON."""
    started = time.perf_counter()
    teacher = load({"model": folder, "dtype": "bfloat16"}, "cpu")
    assert isinstance(teacher, CubemapTeacher)
    loaded = time.perf_counter()
    image = np.random.default_rng(0).integers(0, 256, (HEIGHT, 2 * HEIGHT, 3), np.uint8)
    labels, notes = said_of_faces(teacher, image)
    assert all(np.isfinite(one).all() for one in labels.values()), "labels that are no number"
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    took = {"load": loaded - started, "panorama": time.perf_counter() - loaded, "peak": peak}
    print(json.dumps({**took, "labels": sorted(labels), "notes": sorted(notes)}))


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        count = write(Path(folder))
        told = subprocess.run([sys.executable, "-c", ASK, folder], check=True, capture_output=True, text=True).stdout
    said = json.loads(told.splitlines()[-1])
    print(f"""# A network of the released size on this machine

{count:,} parameters in bfloat16, random, in the released names; one panorama of {2 * HEIGHT}x{HEIGHT} through six faces of 504
pixels, and back: {", ".join(one for one in said["labels"])}.

| reading the weights | one panorama | peak memory |
|---|---|---|
| {said["load"]:.1f} s | {said["panorama"]:.0f} s | {said["peak"] / 1e9:.1f} GB |

{machine()}; {date.today().isoformat()}; `python -m benchmarks.labels.released_size`.""")


if __name__ == "__main__":
    main()
