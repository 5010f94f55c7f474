"""Teachers: frozen perspective models behind one interface, chosen by ``kind``."""

from models.teachers.base import CannotLabel, Teacher
from models.teachers.registry import load_teacher, weights_digest

__all__ = ["CannotLabel", "Teacher", "load_teacher", "weights_digest"]
