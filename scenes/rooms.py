"""Furnished rooms."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from scenes.textures import Material
from scenes.world import Builder, Footprints, Light, Scene

Generator = np.random.Generator
Place = tuple[float, float]
WALL = 0.1
"""Thickness of walls in metres."""


def build_room(seed: int) -> Scene:
    """A room of 3.6 to 9 m with door, windows, pictures, furniture and one or two lamps."""
    generator = np.random.default_rng([1, seed])
    width, depth = generator.uniform(3.6, 9.0, 2)
    height = generator.uniform(2.4, 3.4)
    builder, taken = Builder(), Footprints()
    _shell(builder, generator, width, depth, height)
    _openings(builder, generator, width, depth, height)
    if generator.random() < 0.6:
        size = generator.uniform(0.3, 0.6, 2) * (width, depth)
        rug = _paint(generator, ("stripes", "checker", "blotches"), scale=generator.uniform(0.3, 1.0))
        builder.add("box", "rug", rug, generator.uniform(-0.1, 0.1, 2) * (width, depth), (size[0], 0.015, size[1]))
    _furnish(builder, generator, taken, width, depth)
    lamps = _ceiling_lamps(builder, generator, width, depth, height)
    spots = [
        (x, -generator.uniform(1.2, 1.75), z)
        for x, z in generator.uniform(-0.5, 0.5, (200, 2)) * (width - 1.4, depth - 1.4)
        if taken.free(x, z, 0.3)
    ]
    return builder.scene(
        kind="room",
        seed=seed,
        lights=lamps,
        ambient=tuple(generator.uniform(0.28, 0.45) * np.array([1.0, 0.98, 0.95])),
        exposure=generator.uniform(1.6, 2.4),
        spots=np.array(spots or [(0.0, -1.6, 0.0)]),
    )


def _paint(
    generator: Generator, patterns: tuple[str, ...], light: bool = False, scale: float = 1.0, grain: float = 0.12
) -> Material:
    """A random material of one of some patterns; ``light`` colours suit walls."""
    low, high = (0.5, 0.9) if light else (0.06, 0.6)
    base = generator.uniform(low, high)
    tint = np.clip(base * (1 + generator.uniform(-0.35, 0.35, 3) * (0.4 if light else 1.0)), 0.03, 0.92)
    accent = np.clip(tint * generator.uniform(0.35, 0.8), 0.02, 0.9)
    pattern = patterns[generator.integers(len(patterns))]
    return Material(pattern, tuple(tint), tuple(accent), scale, grain=grain, seed=int(generator.integers(1 << 30)))


def _wood(generator: Generator) -> Material:
    tone = generator.uniform(0.12, 0.5)
    return Material(
        "planks",
        (tone, tone * 0.7, tone * 0.42),
        (tone * 0.4, tone * 0.25, tone * 0.15),
        0.6,
        seed=int(generator.integers(1 << 30)),
    )


def _shell(builder: Builder, generator: Generator, width: float, depth: float, height: float) -> None:
    floor = _wood(generator) if generator.random() < 0.6 else _paint(generator, ("tiles", "checker", "blotches"), scale=1.2)
    builder.add("box", "floor", floor, (0, 0), (width, 0.05, depth), base=-0.05)
    ceiling = _paint(generator, ("solid",), light=True, grain=0.04)
    builder.add("box", "ceiling", ceiling, (0, 0), (width, 0.05, depth), base=height)
    walls = _paint(generator, ("solid", "solid", "stripes", "bricks", "blotches"), light=True, scale=generator.uniform(0.5, 1.5))
    feature = _paint(generator, ("solid", "bricks", "stripes"), scale=0.8)
    for side in (-1, 1):
        material = feature if generator.random() < 0.2 else walls
        builder.add("box", "wall", material, (side * (width + WALL) / 2, 0), (WALL, height, depth + 2 * WALL))
        builder.add("box", "wall", walls, (0, side * (depth + WALL) / 2), (width + 2 * WALL, height, WALL))


def _on_wall(generator: Generator, width: float, depth: float, margin: float) -> tuple[float, float, float, float]:
    """A place on a random wall: x, z, the yaw that faces the room, and the wall's length."""
    side = generator.integers(4)
    length = depth if side < 2 else width
    along = generator.uniform(-0.5, 0.5) * max(length - 2 * margin, 0.1)
    x, z = [(-width / 2, along), (width / 2, along), (along, -depth / 2), (along, depth / 2)][side]
    return x, z, (np.pi / 2, -np.pi / 2, 0.0, np.pi)[side], length


def _openings(builder: Builder, generator: Generator, width: float, depth: float, height: float) -> None:
    """A door, windows and pictures, as panels on the walls."""
    walls = Footprints()
    x, z, yaw, _ = _on_wall(generator, width, depth, 0.7)
    walls.take(x, z, 0.6)
    builder.add("box", "door", _wood(generator), (x, z), (0.9, 2.05, 0.06), yaw=yaw)
    handle = Material("solid", (0.5, 0.45, 0.3))
    builder.add("ball", "door", handle, (x, z), (0.06, 0.06, 0.06), base=1.0, yaw=yaw, offset=(0.36, 0.06))
    frame = _paint(generator, ("solid",), light=True)
    for _ in range(generator.integers(1, 4)):
        x, z, yaw, _ = _on_wall(generator, width, depth, 0.9)
        if not walls.free(x, z, 0.8):
            continue
        walls.take(x, z, 0.8)
        wide, tall = generator.uniform(0.9, 1.5), generator.uniform(1.0, 1.4)
        pane = Material(
            "blotches", (0.55, 0.7, 0.85), (0.85, 0.9, 0.95), 1.5, glow=2.0, grain=0.05, seed=int(generator.integers(1 << 30))
        )
        builder.add("box", "window", frame, (x, z), (wide + 0.14, tall + 0.14, 0.05), base=0.83, yaw=yaw)
        for half in (-0.25, 0.25):
            builder.add("box", "window", pane, (x, z), (wide / 2 - 0.05, tall, 0.08), base=0.9, yaw=yaw, offset=(half * wide, 0))
    for _ in range(generator.integers(1, 5)):
        x, z, yaw, _ = _on_wall(generator, width, depth, 0.6)
        if not walls.free(x, z, 0.5):
            continue
        walls.take(x, z, 0.5)
        wide, tall, base = generator.uniform(0.3, 0.8), generator.uniform(0.3, 0.7), generator.uniform(1.2, 1.5)
        number = builder.instance()
        builder.add("box", "picture", _wood(generator), (x, z), (wide + 0.08, tall + 0.08, 0.04), base - 0.04, yaw, number)
        art = _paint(generator, ("blotches", "checker", "stripes"), scale=0.3, grain=0.3)
        builder.add("box", "picture", art, (x, z), (wide, tall, 0.06), base, yaw, number)


def _ceiling_lamps(builder: Builder, generator: Generator, width: float, depth: float, height: float) -> tuple[Light, ...]:
    count = 2 if max(width, depth) > 6 else 1
    along_x = width > depth
    lights = []
    for index in range(count):
        place = (index - (count - 1) / 2) * 0.5 * max(width, depth)
        x, z = (place, 0.0) if along_x else (0.0, place)
        drop = generator.uniform(0.15, 0.5)
        number = builder.instance()
        shade = Material("solid", (0.95, 0.9, 0.8), glow=1.6, grain=0.02)
        builder.add("cylinder", "lamp", Material("solid", (0.2, 0.2, 0.2)), (x, z), (0.03, drop, 0.03), height - drop, 0, number)
        builder.add("ball", "lamp", shade, (x, z), (0.34, 0.2, 0.34), height - drop - 0.2, 0, number)
        warm = np.array([1.0, generator.uniform(0.82, 0.97), generator.uniform(0.65, 0.9)]) * generator.uniform(2.2, 3.6)
        lights.append(Light("lamp", (x, -(height - drop - 0.1), z), tuple(warm)))
    return tuple(lights)


def _furnish(builder: Builder, generator: Generator, taken: Footprints, width: float, depth: float) -> None:
    """Furniture along the walls and tables in the open, as much as the floor takes."""
    along: list[tuple[Callable[[Builder, Generator, Place, float], None], float, float]] = [
        (_sofa, 1.0, 0.55),
        (_shelf, 0.6, 0.25),
        (_shelf, 0.6, 0.25),
        (_bed, 1.05, 1.0),
        (_standing_lamp, 0.3, 0.3),
        (_plant, 0.35, 0.35),
        (_chair, 0.35, 0.4),
    ]
    for build, radius, away in along:
        if generator.random() < 0.7:
            for _ in range(8):
                x, z, yaw, _ = _on_wall(generator, width, depth, radius + 0.1)
                x, z = x + np.sin(yaw) * away, z + np.cos(yaw) * away
                if taken.free(x, z, radius):
                    build(builder, generator, (x, z), yaw)
                    taken.take(x, z, radius)
                    break
    for _ in range(generator.integers(1, 4)):
        x, z = generator.uniform(-0.5, 0.5, 2) * (width - 2.4, depth - 2.4)
        if taken.free(x, z, 1.0):
            _table_with_chairs(builder, generator, (x, z), generator.uniform(0, 2 * np.pi))
            taken.take(x, z, 1.0)


def _table_with_chairs(builder: Builder, generator: Generator, centre: Place, yaw: float) -> None:
    number, wood = builder.instance(), _wood(generator)
    wide, deep, tall = generator.uniform(0.7, 1.2), generator.uniform(0.6, 0.8), generator.uniform(0.45, 0.78)
    if generator.random() < 0.3:
        builder.add("cylinder", "table", wood, centre, (wide, 0.05, wide), tall, yaw, number)
        builder.add("cylinder", "table", wood, centre, (0.12, tall, 0.12), 0, yaw, number)
    else:
        builder.add("box", "table", wood, centre, (wide, 0.05, deep), tall, yaw, number)
        for x in (-1, 1):
            for z in (-1, 1):
                leg = (x * (wide / 2 - 0.06), z * (deep / 2 - 0.06))
                builder.add("box", "table", wood, centre, (0.06, tall, 0.06), 0, yaw, number, leg)
    for side in (-1, 1):
        if generator.random() < 0.8:
            away = side * (deep / 2 + 0.3)
            place = (centre[0] + np.sin(yaw) * away, centre[1] + np.cos(yaw) * away)
            _chair(builder, generator, place, yaw + (0 if side < 0 else np.pi))


def _chair(builder: Builder, generator: Generator, centre: Place, yaw: float) -> None:
    """A chair whose back is away from where ``yaw`` faces."""
    number = builder.instance()
    material = _wood(generator) if generator.random() < 0.5 else _paint(generator, ("solid", "stripes"), scale=0.2)
    builder.add("box", "chair", material, centre, (0.42, 0.05, 0.42), 0.43, yaw, number)
    builder.add("box", "chair", material, centre, (0.42, 0.45, 0.05), 0.46, yaw, number, (0, -0.19))
    for x in (-0.18, 0.18):
        for z in (-0.18, 0.18):
            builder.add("box", "chair", material, centre, (0.04, 0.43, 0.04), 0, yaw, number, (x, z))


def _sofa(builder: Builder, generator: Generator, centre: Place, yaw: float) -> None:
    number, cloth = builder.instance(), _paint(generator, ("solid", "solid", "stripes", "checker"), scale=0.3)
    wide = generator.uniform(1.5, 1.9)
    builder.add("box", "sofa", cloth, centre, (wide, 0.42, 0.8), 0.05, yaw, number)
    builder.add("box", "sofa", cloth, centre, (wide, 0.5, 0.22), 0.4, yaw, number, (0, -0.33))
    for side in (-1, 1):
        builder.add("box", "sofa", cloth, centre, (0.2, 0.6, 0.82), 0.05, yaw, number, (side * wide / 2, 0))
    cushion = _paint(generator, ("solid", "checker"), scale=0.2)
    builder.add("ball", "sofa", cushion, centre, (0.45, 0.4, 0.2), 0.45, yaw, number, (generator.uniform(-0.5, 0.5), -0.15))


def _bed(builder: Builder, generator: Generator, centre: Place, yaw: float) -> None:
    number = builder.instance()
    wide = generator.uniform(1.0, 1.6)
    builder.add("box", "bed", _wood(generator), centre, (wide + 0.06, 0.3, 1.96), 0, yaw, number)
    builder.add(
        "box", "bed", _paint(generator, ("solid", "stripes", "checker"), scale=0.5), centre, (wide, 0.22, 1.9), 0.3, yaw, number
    )
    builder.add("box", "bed", _wood(generator), centre, (wide + 0.06, 0.95, 0.06), 0, yaw, number, (0, -0.96))
    pillow = _paint(generator, ("solid",), light=True)
    builder.add("ball", "bed", pillow, centre, (wide * 0.7, 0.18, 0.45), 0.48, yaw, number, (0, -0.65))


def _shelf(builder: Builder, generator: Generator, centre: Place, yaw: float) -> None:
    number, wood = builder.instance(), _wood(generator)
    wide, tall = generator.uniform(0.7, 1.1), generator.uniform(0.8, 2.1)
    builder.add("box", "shelf", wood, centre, (wide, tall, 0.03), 0, yaw, number, (0, -0.15))
    for side in (-1, 1):
        builder.add("box", "shelf", wood, centre, (0.03, tall, 0.34), 0, yaw, number, (side * wide / 2, 0))
    for level in np.arange(0.05, tall, 0.36):
        builder.add("box", "shelf", wood, centre, (wide, 0.03, 0.34), level, yaw, number)
        if level + 0.3 < tall:
            books = _paint(generator, ("stripes",), scale=0.2, grain=0.3)
            length = generator.uniform(0.4, 0.9) * wide
            builder.add("box", "shelf", books, centre, (length, generator.uniform(0.18, 0.28), 0.24), level + 0.03, yaw, number)


def _standing_lamp(builder: Builder, generator: Generator, centre: Place, yaw: float) -> None:
    number, metal = builder.instance(), Material("solid", (0.15, 0.15, 0.16))
    tall = generator.uniform(1.2, 1.6)
    builder.add("cylinder", "lamp", metal, centre, (0.3, 0.03, 0.3), 0, yaw, number)
    builder.add("cylinder", "lamp", metal, centre, (0.03, tall, 0.03), 0, yaw, number)
    shade = Material("solid", (0.9, 0.8, 0.6), glow=generator.uniform(0.3, 1.2))
    builder.add("cone", "lamp", shade, centre, (0.42, 0.4, 0.42), tall - 0.1, yaw, number)


def _plant(builder: Builder, generator: Generator, centre: Place, yaw: float) -> None:
    builder.add("cylinder", "vegetation", _paint(generator, ("solid", "stripes"), scale=0.2), centre, (0.34, 0.35, 0.34))
    green = Material("blotches", (0.05, 0.2, 0.04), (0.18, 0.4, 0.1), 0.3, grain=0.4, seed=int(generator.integers(1 << 30)))
    for _ in range(4):
        size = generator.uniform(0.3, 0.5)
        offset = tuple(generator.uniform(-0.12, 0.12, 2))
        builder.add("ball", "vegetation", green, centre, (size, size, size), generator.uniform(0.3, 0.9), yaw, offset=offset)
