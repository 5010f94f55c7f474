"""What makes the target's streets of the adaptation experiment harder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.adaptation import world
from benchmarks.adaptation.streets import PAPER, POSTERS, in_company, with_posters
from scenes.build import build_scene
from scenes.pinholes import VAN, write_pinholes
from scenes.render import cast
from scenes.streets import vans
from scenes.vocabulary import ID
from scenes.world import Scene
from tasks.seamless.labels import SeamlessTruth
from tasks.seamless.vocabularies import K2B

SEEDS = range(220_000, 220_012)
FULL = world.World("full", full=True)


def _street(seed: int) -> tuple[Scene, np.ndarray]:
    scene = build_scene("street", seed)
    return scene, scene.free_position(np.random.default_rng(seed))


def _begins_with(longer: Scene, shorter: Scene) -> bool:
    count = len(shorter.triangles)
    return all(
        np.array_equal(getattr(longer, name)[:count], getattr(shorter, name))
        for name in ("triangles", "classes", "instances", "material")
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_posters_are_building_right_before_a_wall(seed: int) -> None:
    scene, position = _street(seed)
    posters = with_posters(scene, position, np.random.default_rng(seed))
    new = np.arange(len(posters.triangles)) >= len(scene.triangles)
    assert _begins_with(posters, scene)
    assert (posters.classes[new] == ID["building"]).all()
    assert (posters.instances[new] == 0).all()
    sheets = posters.triangles[new & (posters.material == len(scene.materials))].reshape(-1, 2, 3, 3)
    assert len(sheets) <= POSTERS
    for sheet in sheets:
        middle = (sheet.min(axis=(0, 1)) + sheet.max(axis=(0, 1))) / 2
        ray = (middle - position) / np.linalg.norm(middle - position)
        (before,), (after,) = (cast(each, position, ray[None]).distance for each in (scene, posters))
        # 2 cm before the wall, seen at any angle, or hidden by an earlier poster of at most 6 cm.
        assert scene.classes[cast(scene, position, ray[None]).triangle[0]] == ID["building"]
        assert 0 < before - after < 0.5
        long = np.linalg.norm(np.ptp(sheet.reshape(-1, 3), axis=0)[[0, 2]]), np.ptp(sheet[..., 1])
        assert 1.1 * 1.5 <= max(long) <= 1.1 * 2.5


def test_posters_show_things_in_their_own_colours() -> None:
    shown: set[int] = set()
    for seed in SEEDS:
        scene, position = _street(seed)
        posters = with_posters(scene, position, np.random.default_rng(seed))
        of_things = set(scene.material[np.isin(scene.classes, (ID["person"], ID["car"]))].tolist())
        new = set(posters.material[len(scene.triangles) :].tolist())
        if new:
            assert PAPER in posters.materials
        assert new <= of_things | {len(scene.materials)}
        shown |= set(scene.classes[np.isin(scene.material, [*new & of_things])].tolist())
    assert {ID["person"], ID["car"]} <= shown


def test_company_stands_beside_somebody_clear_of_cars_and_camera() -> None:
    more = 0
    for seed in SEEDS:
        scene, position = _street(seed)
        crowd = in_company(scene, position, np.random.default_rng(seed))
        assert _begins_with(crowd, scene)
        cars = [scene.triangles[scene.instances == car] for car in np.unique(scene.instances[scene.classes == ID["car"]])]
        people = [scene.triangles[scene.instances == one] for one in np.unique(scene.instances[scene.classes == ID["person"]])]
        for number in range(int(scene.instances.max()) + 1, int(crowd.instances.max()) + 1):
            own = crowd.triangles[crowd.instances == number]
            assert (crowd.classes[crowd.instances == number] == ID["person"]).all()
            place = own.mean(axis=(0, 1))
            assert np.hypot(*(place - position)[[0, 2]]) >= 1
            for car in cars:
                low, high = car.min(axis=(0, 1)), car.max(axis=(0, 1))
                assert not (low[0] < place[0] < high[0] and low[2] < place[2] < high[2])
            shifts = [own - one for one in people if len(one) == len(own)]
            still = [shift.mean(axis=(0, 1)) for shift in shifts if np.ptp(shift.reshape(-1, 3), axis=0).max() < 1e-9]
            assert any(0.5 <= np.linalg.norm(shift) <= 1.0 and abs(shift[1]) < 1e-9 for shift in still)
            more += 1
    assert more > len(SEEDS)


def test_vans_are_one_car_in_five_and_the_tall_ones() -> None:
    tall = cars = 0
    for seed in range(60):
        scene = build_scene("street", seed)
        own = np.unique(scene.instances[scene.classes == ID["car"]])
        assert set(vans(scene)) <= set(own.tolist())
        tall, cars = tall + len(vans(scene)), cars + len(own)
    # Five standard deviations of a binomial of 0.2.
    assert abs(tall / cars - 0.2) < 5 * np.sqrt(0.16 / cars)


def test_vans_in_the_target_are_a_class_of_their_own() -> None:
    def cars(truth: SeamlessTruth) -> np.ndarray:
        return np.sort(truth.visible[np.isin(truth.classes, (K2B.index("car"), VAN[1]))].sum(axis=(1, 2)))

    seen = set()
    for seed in SEEDS[:4]:
        truth = world.panorama(seed, FULL).truth
        plain = world.panorama(seed).truth
        seen |= set(truth.classes.tolist())
        assert VAN[1] not in plain.classes
        assert abs(len(cars(truth)) - len(cars(plain))) <= 2, "people in company may hide one"
    assert VAN[1] == K2B.index("van") in seen


def test_pinholes_differ_in_the_class_of_vans_alone(tmp_path: Path) -> None:
    import json

    lists = []
    for with_vans in (False, True):
        root = tmp_path / str(with_vans)
        write_pinholes(root, "train", 6, 32, 64, processes=1, with_vans=with_vans)
        lists.append(json.loads((root / "Panoptic/train.json").read_text())["annotations"])
    for image in (tmp_path / "False/Image/train").iterdir():
        assert image.read_bytes() == (tmp_path / "True/Image/train" / image.name).read_bytes()
    pairs = [
        (one["category_id"], other["category_id"])
        for before, after in zip(*lists, strict=True)
        for one, other in zip(before["segments_info"], after["segments_info"], strict=True)
    ]
    changed = {pair for pair in pairs if pair[0] != pair[1]}
    assert changed == {(K2B.index("car"), K2B.index("van"))}
