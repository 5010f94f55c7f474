"""Times of cutting patches from a panorama, ours against its peers, as one Markdown table.

4096x2048 uint8 -> 20 patches (icosahedron) of 504 pixels with 90 degrees. Run from the project's root::

    python -m benchmarks.labels.projection [--runs 3] [--rounds 9] [--slow-rounds 2] > benchmarks/results/labels/projection.md
"""

import argparse
import itertools
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from datetime import date
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from benchmarks.machine import machine, span
from geometry.cameras import Camera
from geometry.directions import directions_to_angles, directions_to_erp
from geometry.layouts import icosahedron
from geometry.resampling import patches as resample
from geometry.resampling.padding import binomial_sphere, pad_sphere

HEIGHT, WIDTH, SIZE, FOV = 2048, 4096, 504, np.pi / 2
CAMERAS = icosahedron(SIZE, FOV)
PEERS = ("numpy", "opencv-python-headless", "torch", "py360convert", "pyequilib", "scipy")

Image = NDArray[np.uint8]
Method = Callable[[], NDArray]


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--runs", type=int, default=3, help="of which the least and the largest figure are shown")
    arguments.add_argument("--rounds", type=int, default=9, help="timed rounds of a run, of which it takes the median")
    arguments.add_argument("--slow-rounds", type=int, default=2, help="timed rounds of methods that take over half a second")
    options = arguments.parse_args()
    cv2.setNumThreads(len(os.sched_getaffinity(0)))
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    panorama, source = load_panorama()
    methods = all_methods(panorama)
    load = os.getloadavg()
    runs = [medians(measure(methods, options.rounds, options.slow_rounds)) for _ in range(options.runs)]
    # The exact sampler and the truth are slow: four views, from each of the icosahedron's rings, stand for all.
    some = slice(0, None, 5)
    exact = np.stack([sample_exactly(panorama, camera) for camera in CAMERAS[some]])
    truth = np.stack([supersample(panorama, camera) for camera in CAMERAS[some]])
    print(f"# Projection: {WIDTH}x{HEIGHT} uint8 -> {len(CAMERAS)} patches of {SIZE} px, 90 degrees\n")
    command = " ".join(["python -m benchmarks.labels.projection", *sys.argv[1:]])
    print(f"{source}; {machine()}; {versions()}; {date.today().isoformat()}; `{command}`.\n")
    print(f"Least to largest of {options.runs} runs, each the median of interleaved rounds; ratios are taken within a run. Maps")
    print("and samplers are kept except where said. *Exact*: float64 bilinear sampling without a prefilter. *Supersampled*:")
    print(
        "each patch pixel is the mean of 8x8 such samples. pyequilib's grid lies half a patch pixel and one ERP pixel away from"
    )
    print("half-pixel centres, which costs it agreement; py360convert's was matched by its field of view. Load average")
    print(f"{load[0]:.1f} before, {os.getloadavg()[0]:.1f} after.\n")
    print("| method | ms | x ours | x bare remap | mean difference to exact, grey levels | PSNR to supersampled, dB |")
    print("|---|---|---|---|---|---|")
    for name, method in methods.items():
        patches = np.asarray(method())[some].astype(np.float64)
        times = [span([run[name] for run in runs])]
        times += [span([run[name] / run[other] for run in runs], ".2f") for other in (OURS, BARE)]
        print(
            f"| {name} | {' | '.join(times)} | {np.abs(patches - exact).mean():.2f} "
            f"| {10 * np.log10(255**2 / np.mean((patches - truth) ** 2)):.1f} |"
        )


def load_panorama() -> tuple[Image, str]:
    """A photograph of PANOLABEL_DATA where there is one, else procedural texture; and what it is."""
    path = Path(os.environ.get("PANOLABEL_DATA", "../shared")) / "panoramas" / "quattro_canti.jpg"
    if path.is_file():
        photograph = cv2.imread(str(path))
        if photograph is not None and photograph.shape == (HEIGHT, WIDTH, 3):
            return np.asarray(photograph, dtype=np.uint8), f"Photograph {path.name}"
    noise = np.random.default_rng(0).normal(size=(HEIGHT, WIDTH, 3)).astype(np.float32)
    return np.clip(127 + 90 * binomial_sphere(noise, 5, 0), 0, 255).astype(np.uint8), "Procedural noise, smoothed by 1 4 6 4 1"


def versions() -> str:
    """Of Python, and of the peers and what all rest on."""
    return f"Python {platform.python_version()}, " + ", ".join(f"{name} {version(name)}" for name in PEERS)


OURS = "**ours, antialias on**"
BARE = "cv2.remap, bare: fixed-point maps, one stacked call, no sphere pad"


def all_methods(panorama: Image) -> dict[str, Method]:
    """Name -> function that returns the (20, 504, 504, 3) patches."""
    maps = resample._fixed_point_maps(CAMERAS, HEIGHT, WIDTH)
    padded = pad_sphere(panorama, resample.MARGIN)
    coordinates = [directions_to_erp(camera.directions(), HEIGHT, WIDTH) for camera in CAMERAS]
    columns, rows = (np.concatenate(one).astype(np.float32) + np.float32(resample.MARGIN - 0.5) for one in zip(*coordinates))
    shape = (len(CAMERAS), SIZE, SIZE, 3)
    stacked = np.empty((len(CAMERAS) * SIZE, SIZE, 3), dtype=np.uint8)
    return {
        OURS: lambda: resample.extract_patches(panorama, CAMERAS),
        "**ours, antialias off**": lambda: resample.extract_patches(panorama, CAMERAS, antialias=False),
        "**ours, antialias on, layout never seen before**": lambda: extract_cold(panorama),
        BARE: lambda: cv2.remap(padded, *maps, cv2.INTER_LINEAR, dst=stacked).reshape(shape),
        "cv2.remap, float maps": lambda: cv2.remap(padded, columns, rows, cv2.INTER_LINEAR, dst=stacked).reshape(shape),
        "ours, torch backend on the CPU, antialias off": lambda: resample.extract_patches(panorama, CAMERAS, "torch", False),
        **pyequilib_methods(panorama),
        **py360convert_methods(panorama),
    }


_calls = itertools.count(1)


def extract_cold(panorama: Image) -> NDArray:
    """Including the making of the maps, as a random layout needs it for every panorama: each call's fov is another, by a hair."""
    return resample.extract_patches(panorama, icosahedron(SIZE, FOV + 1e-12 * next(_calls)))


def pyequilib_methods(panorama: Image) -> dict[str, Method]:
    """pyequilib, torch and numpy. Its pixel grid differs: half a patch pixel and one ERP pixel from ours, so it agrees less."""
    from equilib import equi2pers

    rotations = []
    for camera in CAMERAS:
        yaw, pitch = directions_to_angles(camera.axis)
        rotations.append({"roll": 0.0, "pitch": float(pitch), "yaw": float(yaw)})
    channels_first = np.ascontiguousarray(panorama.transpose(2, 0, 1))
    floats = torch.from_numpy(channels_first).float()

    def run(image: NDArray | torch.Tensor) -> NDArray:
        patches = [
            equi2pers(image, rotation, SIZE, SIZE, np.degrees(FOV), mode="bilinear", z_down=True) for rotation in rotations
        ]
        return np.stack([np.asarray(patch) for patch in patches]).transpose(0, 2, 3, 1)

    return {"pyequilib, torch float32, a loop": lambda: run(floats), "pyequilib, numpy, a loop": lambda: run(channels_first)}


def py360convert_methods(panorama: Image) -> dict[str, Method]:
    """``e2p`` as its documentation calls it, and its sampler kept per view; on our pixel centres."""
    from py360convert import e2p
    from py360convert.utils import EquirecSampler

    # A patch's outermost centres lie on the edge of its field there; a narrower field puts them where ours are.
    fov = 2 * float(np.arctan((SIZE - 1) / 2 / CAMERAS[0].focal))
    angles = [tuple(map(float, directions_to_angles(camera.axis))) for camera in CAMERAS]
    samplers = [
        EquirecSampler.from_perspective(fov, fov, -yaw, pitch, 0.0, HEIGHT, WIDTH, SIZE, SIZE, 1) for yaw, pitch in angles
    ]
    degrees = np.degrees(angles)

    def documented() -> NDArray:
        return np.stack([e2p(panorama, float(np.degrees(fov)), yaw, pitch, (SIZE, SIZE)) for yaw, pitch in degrees])

    def kept() -> NDArray:
        return np.stack([np.stack([sampler(panorama[..., c]) for c in range(3)], axis=-1) for sampler in samplers])

    return {"py360convert, e2p as documented": documented, "py360convert, its samplers kept": kept}


def measure(methods: dict[str, Method], rounds: int, slow_rounds: int) -> dict[str, list[float]]:
    """Milliseconds of every method, rounds interleaved so that a change of the machine's load meets them all."""
    times: dict[str, list[float]] = {name: [] for name in methods}
    warm_up = {name: _milliseconds(method) for name, method in methods.items()}
    for number in range(rounds):
        for name, method in methods.items():
            if warm_up[name] < 500 or number < slow_rounds:
                times[name].append(_milliseconds(method))
    return times


def medians(times: dict[str, list[float]]) -> dict[str, float]:
    """One run's milliseconds of every method."""
    return {name: statistics.median(own) for name, own in times.items()}


def _milliseconds(method: Method) -> float:
    start = time.perf_counter()
    method()
    return 1e3 * (time.perf_counter() - start)


def sample_exactly(panorama: Image, camera: Camera) -> NDArray[np.float64]:
    """Bilinear in float64, by SciPy."""
    column, row = directions_to_erp(camera.directions(), HEIGHT, WIDTH)
    padded = pad_sphere(panorama, 2)
    channels = [map_coordinates(padded[..., c], [row + 1.5, column + 1.5], np.float64, order=1) for c in range(3)]
    return np.stack(channels, axis=-1)


def supersample(panorama: Image, camera: Camera, factor: int = 8) -> NDArray[np.float64]:
    """Mean over ``factor`` x ``factor`` bilinear samples of each pixel."""
    fine = Camera(camera.width * factor, camera.height * factor, camera.fov, camera.rotation)
    column, row = resample.erp_coordinates(fine, HEIGHT, WIDTH)
    padded = pad_sphere(panorama, 2).astype(np.float32)
    samples = cv2.remap(padded, column + np.float32(1.5), row + np.float32(1.5), cv2.INTER_LINEAR)
    return samples.reshape(camera.height, factor, camera.width, factor, 3).mean(axis=(1, 3), dtype=np.float64)


if __name__ == "__main__":
    main()
