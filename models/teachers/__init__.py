"""Teachers: frozen models behind one interface, chosen by ``kind``."""

from models.teachers.base import CannotLabel, Sees, Teacher, WantedViews
from models.teachers.registry import facts_read, load_teacher, sees, wanted_views, weights_digest

__all__ = [
    "CannotLabel",
    "Sees",
    "Teacher",
    "WantedViews",
    "facts_read",
    "load_teacher",
    "sees",
    "wanted_views",
    "weights_digest",
]
