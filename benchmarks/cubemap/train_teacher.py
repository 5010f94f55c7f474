"""Trains the cubemap network that ships with panolabel, on six faces of procedural panoramas: ``make cubemap-teacher``.

Killed, it goes on from its newest checkpoint. Training scenes have seeds from 0, unseen ones from 50000.
"""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path

import numpy as np
import torch

from benchmarks.cubemap.recipe import Recipe, trained
from geometry.cameras import Camera
from models.cubemap.configuration import face_cameras
from models.cubemap.network import CubemapNetwork
from models.cubemap.outputs import ray_lengths
from models.cubemap.router import scene_by_sky
from models.cubemap.saved import save_network
from models.teachers.weights import CUBEMAP
from scenes.training_faces import Faces, kind_of, load_faces
from scenes.training_shards import UNSEEN
from tasks.predict.faces import teacher_of

log = logging.getLogger("cubemap")
COLUMNS = {
    "abs_rel": "metric AbsRel",
    "abs_rel_scaled": "AbsRel after one factor",
    "delta1": "metric delta1",
    "normal_mean_degrees": "normals mean (deg)",
    "normal_median_degrees": "normals median (deg)",
    "sky_iou": "sky IoU",
    "route": "scene told right",
}


def judged(network: CubemapNetwork, faces: Faces) -> list[dict[str, float]]:
    """Figures of each panorama's six faces, as the teacher says them, against their truth; all pixels of a face count alike."""
    cameras = face_cameras(network.config)
    teacher = teacher_of(network, "cpu")
    lengths = np.stack([ray_lengths(camera, network.config.conventions) for camera in cameras])
    rows = []
    for index in range(len(faces)):
        said = teacher(faces.image[index], cameras, {})
        land = faces.depth[index] > 0
        ratio = (said["depth"].values / (faces.depth[index] * lengths).clip(1e-3))[land]
        cosine = (said["normals"].values * (faces.normals[index] / np.float32(127))).sum(-1)[land]
        angle = np.degrees(np.arccos(cosine.clip(-1, 1)))
        rows.append(
            {
                "abs_rel": float(np.abs(ratio - 1).mean()),
                "abs_rel_scaled": float(np.abs(ratio / np.median(ratio) - 1).mean()),
                "delta1": float((np.maximum(ratio, 1 / ratio) < 1.25).mean()),
                "normal_mean_degrees": float(angle.mean()),
                "normal_median_degrees": float(np.median(angle)),
                **_of_sky(said["sky"].values, ~land, cameras, said["depth"].notes["p_outdoor"]),
            }
        )
    return rows


def _of_sky(said: np.ndarray, true: np.ndarray, cameras: tuple[Camera, ...], p_outdoor: float) -> dict[str, float]:
    """How well the sky is found, NaN where there is none, and whether the scene that it tells is the true one."""
    right = (scene_by_sky(true.astype(np.float32), cameras) == "outdoor") == (p_outdoor > 0.5)
    union = ((said > 0.5) | true).sum()
    return {"sky_iou": float(((said > 0.5) & true).sum() / union) if true.any() else float("nan"), "route": float(right)}


def write_card(folder: Path, recipe: Recipe, network: CubemapNetwork, unseen: Faces) -> None:
    """The model card: what the network is, what it was trained on, and how good it is on scenes that it has not seen."""
    rows, street = judged(network, unseen), np.array([kind_of(seed) == "street" for seed in range(len(unseen))])
    table = []
    for name, chosen in {"rooms": ~street, "streets": street, "all": street | ~street}.items():
        columns = {key: np.array([row[key] for row in rows])[chosen] for key in COLUMNS}
        means = {key: np.nanmean(values) if np.isfinite(values).any() else np.nan for key, values in columns.items()}
        table.append(f"| {name} | " + " | ".join("–" if np.isnan(mean) else f"{mean:.3f}" for mean in means.values()) + " |")
    parameters = sum(one.numel() for one in network.parameters())
    (folder / "README.md").write_text(f"""---
license: apache-2.0
---

# The cubemap teacher

A network of PaGeR's class ({parameters / 1e6:.2f} M parameters, float16) that sees the six faces of a panorama at once and says
depth in metres, normals and sky of it. Trained from scratch on {recipe.scenes} procedural rooms and streets, one panorama each,
by `make cubemap-teacher`: {recipe.steps} steps of {recipe.batch} panoramas, which is {recipe.pixels / 1e6:.0f} million pixels, as
many as the demo teacher saw. Its weights are Apache-2.0 like the rest of panolabel. It has seen no photograph: on real panoramas
expect plausible rooms and skies, not accuracy.

Input: six faces of {recipe.face_size} x {recipe.face_size} RGB and 90 degrees: front, right, back, left, up, down. In a pipeline:
`kind: cubemap` with `settings: {{model: cubemap}}`; see docs/panoramic-models.md. How it compares with the demo teacher stands in
benchmarks/results/labels/cubemap_teacher.md.

Means over {len(rows)} panoramas of unseen scenes, on their faces, where there is no sky:

| scenes | {" | ".join(COLUMNS.values())} |
|---|{"---|" * len(COLUMNS)}
{chr(10).join(table)}

Recipe: `{json.dumps(vars(recipe))}`
""")


def main() -> None:
    """Render or load the faces, train, evaluate on unseen scenes, save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=CUBEMAP, help="folder for the network")
    parser.add_argument("--data", type=Path, default=Path("work/cubemap/faces"), help="folder for rendered faces")
    parser.add_argument("--checkpoints", type=Path, default=Path("work/cubemap/teacher"), help="what a killed training left")
    parser.add_argument("--threads", type=int, help="of the CPU; by default PyTorch's own choice")
    for name, value in vars(Recipe()).items():
        if name != "cross_view":
            parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    arguments = vars(parser.parse_args())
    out, data, checkpoints, threads = (arguments.pop(name) for name in ("out", "data", "checkpoints", "threads"))
    recipe = Recipe(**arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    if threads:
        torch.set_num_threads(threads)
    unseen = load_faces(data, UNSEEN, recipe.unseen_scenes, recipe.face_size)
    faces = load_faces(data, 0, recipe.scenes, recipe.face_size)
    log.info("%d panoramas to learn from, %d unseen", len(faces), len(unseen))
    network = trained(recipe, faces, checkpoints)
    save_network(network, out, torch.float16)
    write_card(out, recipe, network, unseen)
    log.info("written to %s", out)


if __name__ == "__main__":
    main()
