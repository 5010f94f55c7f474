"""Fusion on a device says what numpy says: masks and classes equal, depth to 1e-6, bytes off by one in 1e-4 of the pixels."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("triton", reason="needs Triton: pip install panolabel[device]")

NAMES = ("blend", "scale", "apart", "single", "align", "sphere")


@pytest.fixture(scope="module")
def made():
    """Imported once the interpreter was asked for."""
    from tests.geometry.device import panoramas

    return panoramas


@pytest.fixture(scope="module")
def known(made):
    return {one.name: one for one in made.panoramas()}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("form", ["said", "stored", "canonical"])
def test_labels_are_those_of_numpy(made, known, name: str, form: str) -> None:
    wanted = made.by_numpy(known[name], stored=form != "canonical")
    found = made.fused_on_device(known[name], form)
    assert found.keys() == wanted.keys()
    for label, array in wanted.items():
        own = found[label]
        assert own.shape == array.shape
        assert own.dtype == array.dtype or (array.dtype == bool and own.dtype == np.uint8)
        if label == "depth":
            np.testing.assert_allclose(own, array, rtol=1e-6)
        elif label == "normals":
            np.testing.assert_allclose(own, array, atol=1e-6)
        elif label.endswith(("consistency", "confidence", "agreement")):
            off = np.abs(own.astype(int) - array)
            assert off.max(initial=0) <= 1
            assert (off > 0).mean() <= 1e-4
        else:
            np.testing.assert_array_equal(own, array)


def test_the_panoramas_hold_what_is_hard(made, known) -> None:
    """Pixels that views tear, that are not valid or nobody sees; sky; classes beyond a byte; poles and the seam."""
    fused = {name: made.by_numpy(panorama) for name, panorama in known.items()}
    mixed = made.by_numpy(replace(known["blend"], settings=replace(known["blend"].settings, depth_edge=1e9)))
    assert (np.abs(mixed["depth"] / np.maximum(fused["blend"]["depth"], 1e-9) - 1) > 0.01).mean() > 0.1, "torn pixels"
    assert 0 < (fused["scale"]["views"] == 0).mean() < 1, "directions that were not photographed"
    assert fused["scale"]["semantics"].dtype == np.uint16
    assert all(0.02 < fused[name]["sky"].mean() < 0.98 for name in NAMES if name != "blend")
    assert 0 < (~fused["blend"]["semantics_valid"]).mean() < 0.9
    for name in ("blend", "align"):  # poles and the seam are as good as any other place
        assert all(edge.any() for edge in (fused[name]["depth_valid"][[0, -1]], fused[name]["depth_valid"][:, [0, -1]]))
        assert len(np.unique(fused[name]["depth_consistency"])) > 20
        assert len(np.unique(fused[name]["semantics_consistency"])) > 20


def test_the_same_input_gives_the_same_bytes(made, known) -> None:
    first, second = made.fused_on_device(known["align"]), made.fused_on_device(known["align"])
    assert all(first[name].tobytes() == second[name].tobytes() for name in first)


def test_small_programs_fuse_as_large_ones_do(made, known, monkeypatch) -> None:
    """Pixels do not meet: neither views nor neighbours of an ERP pixel lie in another program."""
    from geometry.device import launching

    whole = made.fused_on_device(known["single"])
    monkeypatch.setattr(launching, "INTERPRETED", 4096)
    parts = made.fused_on_device(known["single"])
    assert all(whole[name].tobytes() == parts[name].tobytes() for name in whole)


def test_the_list_has_every_sighting_once(known) -> None:
    from geometry.device.gathering import NOBODY, gather_list, most_seen
    from geometry.observed import views_of

    views = views_of(known["align"].cameras["depth"], 64, 128)
    listed = gather_list(views)
    assert most_seen(views) == len(listed.pixel) == 5
    found = {(int(pixel), at) for slot in listed.pixel for at, pixel in enumerate(slot) if pixel != NOBODY}
    wanted, size = set(), 32 * 32
    for number, view in enumerate(views):
        for box in view.boxes:
            for row, column in zip(*np.nonzero(view.seen(box)), strict=True):
                at = (row + box.rows.start) * 128 + column + box.columns.start
                wanted.add((int(box.pixel[row, column]) + number * size, int(at)))
    assert found == wanted
    assert sum((slot != NOBODY).sum() for slot in listed.pixel) == len(wanted)


@pytest.mark.slow
def test_kernels_compile_for_a_gpu_that_is_not_here() -> None:
    """No register is spilled, no operation is less exact than numpy's, and nothing depends on the order of threads."""
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    command = [sys.executable, "-m", "tests.geometry.device.compiling"]
    told = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
    made = [json.loads(line) for line in told.splitlines()]
    kernels = {"fuse_kernel", "radial_kernel", "stored_kernel", "uninverted_kernel", "bent_kernel", "coarse_kernel"}
    assert {one["kernel"] for one in made} == kernels
    assert all(one["stack"] == 0 and not one["doubtful"] for one in made), told
    assert max(one["reg"] for one in made) <= 255
