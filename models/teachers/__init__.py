"""Teachers: frozen perspective models behind one interface, chosen by ``kind``."""

from models.teachers.base import Teacher
from models.teachers.registry import load_teacher, weights_digest

__all__ = ["Teacher", "load_teacher", "weights_digest"]
