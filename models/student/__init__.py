"""The student: one network for depth, normals and semantics of a panorama, in the form that ``transformers`` knows.

Importing this package registers it, so that ``AutoConfig`` and ``AutoModel`` open its saved folders without remote code.
"""

from transformers import AutoConfig, AutoModel

from models.student.configuration import StudentConfig
from models.student.modeling import StudentModel, StudentOutput

__all__ = ["StudentConfig", "StudentModel", "StudentOutput"]

AutoConfig.register(StudentConfig.model_type, StudentConfig, exist_ok=True)
AutoModel.register(StudentConfig, StudentModel, exist_ok=True)
