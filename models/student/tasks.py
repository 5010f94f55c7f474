"""What the student can be asked for, and which of its two streams each task belongs to."""

from dataclasses import dataclass

STREAMS = ("invariant", "variant")


@dataclass(frozen=True)
class Task:
    """A quantity per pixel.

    ``stream`` is ``invariant`` where turning the camera leaves a value as it is, ``variant`` where the value turns with it.
    ``channels`` is None where it is the number of classes. Auxiliary tasks only help training: they get no decoder.
    """

    name: str
    stream: str
    channels: int | None
    auxiliary: bool = False


TASKS = (
    Task("semantics", "invariant", None),
    Task("depth", "invariant", 1),
    Task("image_gradient", "invariant", 2, auxiliary=True),
    Task("edge_distance", "invariant", 1, auxiliary=True),
    Task("normals", "variant", 3),
    Task("points", "variant", 3, auxiliary=True),
)
MAIN_TASKS = tuple(task.name for task in TASKS if not task.auxiliary)
