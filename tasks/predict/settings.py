"""What the stage ``predict`` may say."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from configs.settings import Settings


class Predict(Settings):
    """A student that says all labels at once, in the place of teachers and views."""

    height: int | None = Field(None, ge=16, le=8192)
    """Rows at which it sees panoramas, and of its labels; by default those that it was trained at."""
    depth_dtype: Literal["float16", "float32"] = "float16"
    """float16 rounds distances by at most 0.05 %."""
    normals_dtype: Literal["int8", "float16"] = "int8"
    """int8 costs 0.2 degrees on average and 0.5 at most; float16 0.003 degrees at twice the bytes or more."""
