"""What the stage ``predict`` may say."""

from __future__ import annotations

from pydantic import Field

from tasks.label.settings import StoredLabels


class Predict(StoredLabels):
    """A student that says all labels at once, in the place of teachers and views."""

    height: int | None = Field(None, ge=16, le=8192)
    """Rows at which it sees panoramas, and of its labels; by default those that it was trained at."""
