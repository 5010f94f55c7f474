"""A trial: part of a pipeline, in the same store. Some of its panoramas, some of its stages, or both."""

from __future__ import annotations

import shlex
from typing import Annotated

from pydantic import Field, model_validator

from configs.settings import Settings


class Trial(Settings):
    """What a plan or a run is cut down to; by default to nothing less than all.

    Choices of panoramas narrow each other, and hold for every source of the file by itself.
    """

    limit: Annotated[int | None, Field(ge=1)] = None
    """At most so many panoramas of each source: the first by name of those that the other choices leave."""
    items: tuple[str, ...] = ()
    """Only these panoramas: names, or SOURCE/ITEM where several sources have the name."""
    sample: Annotated[float | None, Field(gt=0, le=1)] = None
    """About this share of the panoramas. Chosen by their names alone: a larger share has all of a smaller one."""
    split: str | None = None
    """Only panoramas of this split."""
    stage: str | None = None
    """Only the stage of this key; what it reads must be there."""
    until: tuple[str, ...] = ()
    """Only the stages of these keys and what they are made from."""

    @model_validator(mode="after")
    def _one_reach(self) -> Trial:
        if self.stage is not None and self.until:
            raise ValueError("stage and until: give one of them; until takes what the stage is made from, too")
        return self

    @property
    def chooses(self) -> bool:
        """Whether it takes some of the panoramas, and not all."""
        return self.model_copy(update={"stage": None, "until": ()}) != WHOLE

    @property
    def words(self) -> tuple[str, ...]:
        """The trial as options of a command line; none if it is all."""
        words: list[str] = []
        for name, value in self.model_dump(exclude_defaults=True).items():
            words += [word for one in (value if isinstance(value, tuple) else [value]) for word in (f"--{name}", str(one))]
        return tuple(words)

    @property
    def told(self) -> str:
        """The trial in one line; empty if it is all."""
        return shlex.join(self.words)


WHOLE = Trial()
"""No trial: everything."""
