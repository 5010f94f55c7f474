"""Teachers: frozen perspective models behind one interface, chosen by ``kind``."""

from models.teachers.base import CannotLabel, Teacher
from models.teachers.registry import facts_read, load_teacher, weights_digest

__all__ = ["CannotLabel", "Teacher", "facts_read", "load_teacher", "weights_digest"]
