"""Streets: a road between pavements, buildings, cars, people, poles, fences and trees under the sky."""

from __future__ import annotations

import numpy as np

from scenes.textures import Material
from scenes.vocabulary import ID
from scenes.world import Builder, Footprints, Light, Scene

Generator = np.random.Generator
LENGTH = 120.0
"""The street runs along z, this many metres."""
KERB = 0.12


def build_street(seed: int) -> Scene:
    """A street with one carriageway; cameras stand on the road or on a pavement near its middle."""
    generator = np.random.default_rng([2, seed])
    road, pavement = generator.uniform(6.5, 9.0), generator.uniform(2.2, 4.0)
    builder, taken = Builder(), Footprints()
    _ground(builder, generator, road, pavement)
    for side in (-1, 1):
        _buildings(builder, generator, side, road / 2 + pavement)
        _pavement_objects(builder, generator, taken, side, road / 2, pavement)
    _cars(builder, generator, taken, road)
    for _ in range(generator.integers(3, 12)):
        x = generator.uniform(-0.5, 0.5) * (road + 2 * pavement - 1)
        z = generator.normal() * 10
        if taken.free(x, z, 0.5):
            _person(builder, generator, (x, z), 0.0 if abs(x) < road / 2 else KERB)
            taken.take(x, z, 0.5)
    height = generator.uniform(0.35, 1.1)
    azimuth = generator.uniform(0, 2 * np.pi)
    sun = (np.cos(height) * np.sin(azimuth), -np.sin(height), np.cos(height) * np.cos(azimuth))
    strength = generator.uniform(1.0, 2.6)
    spots = [
        (x, -(generator.uniform(1.3, 1.9) + (0.0 if abs(x) < road / 2 else KERB)), z)
        for x, z in generator.uniform(-0.5, 0.5, (200, 2)) * (road + 1.2 * pavement, 24)
        if taken.free(x, z, 0.7)
    ]
    return builder.scene(
        kind="street",
        seed=seed,
        lights=(Light("sun", sun, (strength, strength * 0.94, strength * 0.85)),),
        ambient=tuple(generator.uniform(0.45, 0.7) * np.array([0.85, 0.95, 1.1])),
        exposure=generator.uniform(0.9, 1.4),
        spots=np.array(spots or [(0.0, -1.6, 0.0)]),
    )


def vans(scene: Scene) -> list[int]:
    """Instances of a street's cars that are vans: one in five, and taller than any other car."""
    cars = np.unique(scene.instances[scene.classes == ID["car"]])
    return [int(car) for car in cars if -scene.triangles[scene.instances == car][..., 1].min() > 1.8]


def _tone(generator: Generator, low: float, high: float, tint: float = 0.2) -> tuple[float, float, float]:
    return tuple(np.clip(generator.uniform(low, high) * (1 + generator.uniform(-tint, tint, 3)), 0.02, 0.95))


def _seed(generator: Generator) -> int:
    return int(generator.integers(1 << 30))


def _ground(builder: Builder, generator: Generator, road: float, pavement: float) -> None:
    grass = Material("blotches", (0.08, 0.16, 0.04), (0.2, 0.28, 0.1), 2.0, grain=0.3, seed=_seed(generator))
    builder.add("box", "terrain", grass, (0, 0), (400, 0.1, 400), base=-0.14)
    asphalt = Material("lanes", _tone(generator, 0.06, 0.16, 0.05), (0.75, 0.75, 0.72), grain=0.25, seed=_seed(generator))
    builder.add("box", "road", asphalt, (0, 0), (road, 0.1, LENGTH), base=-0.1)
    stones = Material("tiles", _tone(generator, 0.3, 0.5, 0.08), (0.2, 0.2, 0.2), 0.8, seed=_seed(generator))
    for side in (-1, 1):
        place = (side * (road + pavement) / 2, 0)
        builder.add("box", "sidewalk", stones, place, (pavement, KERB + 0.1, LENGTH), base=-0.1)


def _buildings(builder: Builder, generator: Generator, side: int, front: float) -> None:
    """A row of houses with gaps; fences or hedges close some of the gaps."""
    z = -LENGTH / 2
    while z < LENGTH / 2:
        wide = generator.uniform(8, 20)
        middle = z + wide / 2
        if generator.random() < 0.82:
            deep, tall = generator.uniform(8, 14), generator.uniform(5, 24)
            back = generator.uniform(0, 2.0) if generator.random() < 0.4 else 0.0
            pattern = "facade" if generator.random() < 0.8 else "bricks"
            accent = (0.08, 0.1, 0.13) if pattern == "facade" else _tone(generator, 0.3, 0.6)
            wall = Material(pattern, _tone(generator, 0.2, 0.75), accent, generator.uniform(0.85, 1.3), seed=_seed(generator))
            builder.add("box", "building", wall, (side * (front + back + deep / 2), middle), (deep, tall, wide))
            roof = Material("tiles", _tone(generator, 0.1, 0.35), scale=0.5, seed=_seed(generator))
            builder.add(
                "box", "building", roof, (side * (front + back + deep / 2), middle), (deep + 0.6, 0.4, wide + 0.3), base=tall
            )
        elif generator.random() < 0.7:
            boards = Material("stripes", _tone(generator, 0.2, 0.6), _tone(generator, 0.05, 0.2), 0.6, seed=_seed(generator))
            builder.add("box", "fence", boards, (side * (front + 0.2), middle), (0.08, generator.uniform(1.0, 1.9), wide))
        z += wide + generator.uniform(0, 3)


def _pavement_objects(builder: Builder, generator: Generator, taken: Footprints, side: int, kerb: float, pavement: float) -> None:
    """Lamp posts, signs and trees along the kerb."""
    for z in np.arange(-LENGTH / 2 + 4, LENGTH / 2, generator.uniform(8, 14)):
        x, z = side * (kerb + 0.5), z + generator.uniform(-1.5, 1.5)
        choice = generator.random()
        if choice < 0.45:
            metal = Material("solid", _tone(generator, 0.08, 0.3, 0.1))
            tall = generator.uniform(4.5, 7)
            builder.add("cylinder", "pole", metal, (x, z), (0.16, tall, 0.16), KERB)
            builder.add("box", "pole", metal, (x - side * 0.5, z), (1.1, 0.1, 0.2), KERB + tall)
        elif choice < 0.6:
            builder.add("cylinder", "pole", Material("solid", (0.4, 0.4, 0.42)), (x, z), (0.07, 2.4, 0.07), KERB)
            face = Material("checker", _tone(generator, 0.3, 0.8, 0.6), (0.9, 0.9, 0.9), 0.5, seed=_seed(generator))
            builder.add(
                "box", "sign", face, (x, z), (0.7, 0.7, 0.05), KERB + 1.9, generator.uniform(-0.4, 0.4), builder.instance()
            )
        elif choice < 0.95 and pavement > 2.6:
            _tree(builder, generator, (x + side * 0.3, z))
        taken.take(x, z, 0.7)


def _tree(builder: Builder, generator: Generator, centre: tuple[float, float]) -> None:
    tall = generator.uniform(2.0, 3.5)
    bark = Material("blotches", (0.12, 0.08, 0.05), (0.25, 0.18, 0.12), 0.3, seed=_seed(generator))
    builder.add("cylinder", "vegetation", bark, centre, (0.3, tall + 0.5, 0.3), KERB)
    green = _tone(generator, 0.1, 0.25, 0.1)
    leaves = Material(
        "blotches", (green[0] * 0.6, green[1], green[2] * 0.35), (0.02, 0.06, 0.02), 0.6, grain=0.5, seed=_seed(generator)
    )
    for _ in range(5):
        size = generator.uniform(1.4, 2.6)
        builder.add(
            "ball",
            "vegetation",
            leaves,
            centre,
            (size, size * 0.9, size),
            KERB + tall + generator.uniform(-0.4, 1.4),
            offset=tuple(generator.uniform(-0.8, 0.8, 2)),
        )


def _cars(builder: Builder, generator: Generator, taken: Footprints, road: float) -> None:
    """Parked cars along both kerbs, and some under way."""
    for side in (-1, 1):
        for z in np.arange(-45, 45, 6.0):
            if generator.random() < 0.45:
                place = (side * (road / 2 - 1.1), z + generator.uniform(-0.4, 0.4))
                _car(builder, generator, place, generator.normal() * 0.02)
                for along in (-1.2, 0, 1.2):
                    taken.take(place[0], place[1] + along, 1.2)
    for _ in range(generator.integers(0, 3)):
        place = (generator.choice([-1, 1]) * road * 0.16, generator.uniform(-40, 40))
        if taken.free(*place, 2.0):
            _car(builder, generator, place, 0.0)
            for along in (-1.2, 0, 1.2):
                taken.take(place[0], place[1] + along, 1.2)


def _car(builder: Builder, generator: Generator, centre: tuple[float, float], yaw: float) -> None:
    number = builder.instance()
    paint = Material("solid", _tone(generator, 0.05, 0.8, 0.5), grain=0.05)
    glass, rubber = Material("solid", (0.04, 0.06, 0.08), grain=0.05), Material("solid", (0.03, 0.03, 0.03))
    wide, long, van = generator.uniform(1.65, 1.9), generator.uniform(3.8, 4.9), generator.random() < 0.2
    body, cabin = (1.0, 0.85) if van else (0.55, 0.55)
    builder.add("box", "car", paint, centre, (wide, body, long), 0.3, yaw, number)
    share = 0.8 if van else generator.uniform(0.45, 0.6)
    builder.add("box", "car", glass, centre, (wide * 0.9, cabin, long * share), 0.3 + body, yaw, number, (0, -0.06 * long))
    builder.add(
        "box", "car", paint, centre, (wide * 0.88, 0.06, long * share * 0.96), 0.3 + body + cabin, yaw, number, (0, -0.06 * long)
    )
    for x in (-1, 1):
        for z in (-1, 1):
            wheel = (x * (wide / 2 - 0.08), z * long * 0.31)
            builder.add("ball", "car", rubber, centre, (0.24, 0.64, 0.64), 0.0, yaw, number, wheel)


def _person(builder: Builder, generator: Generator, centre: tuple[float, float], base: float) -> None:
    number, tall = builder.instance(), generator.uniform(1.5, 1.95)
    yaw = generator.uniform(0, 2 * np.pi)
    trousers, coat = Material("solid", _tone(generator, 0.03, 0.3, 0.5)), Material("solid", _tone(generator, 0.05, 0.7, 0.6))
    skin = Material("solid", tuple(generator.uniform(0.15, 0.75) * np.array([1.0, 0.72, 0.58])))
    stride = generator.uniform(0.0, 0.2)
    for side in (-1, 1):
        leg = (side * 0.1, side * stride)
        builder.add("cylinder", "person", trousers, centre, (0.16, tall * 0.48, 0.16), base, yaw, number, leg)
        arm = (side * 0.25, -side * stride * 0.6)
        builder.add("cylinder", "person", coat, centre, (0.1, tall * 0.36, 0.1), base + tall * 0.46, yaw, number, arm)
    builder.add("ball", "person", coat, centre, (0.44, tall * 0.44, 0.28), base + tall * 0.44, yaw, number)
    builder.add("ball", "person", skin, centre, (0.2, 0.26, 0.22), base + tall - 0.26, yaw, number)
