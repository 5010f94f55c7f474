"""What a run has in hand: blocks that are made, and files that are read meanwhile so that the next blocks are there in time."""

from __future__ import annotations

from flows.running.files.reading import Reading
from flows.running.schedule import Work
from flows.running.workers import Workers


class Flight:
    """What is in hand of one part of a run.

    Parameters
    ----------
    workers : Workers
    reading : Reading
    chains : int
        Blocks of panoramas in this part: so many more are read ahead of it.
    files : int, optional
        Groups of files to read at most, all of which are waited for.
    """

    def __init__(self, workers: Workers, reading: Reading, chains: int, files: int | None = None) -> None:
        self.blocks = self.on_gpu = 0
        self._workers, self._reading, self._chains, self._files, self._read = workers, reading, chains, files, 0

    @property
    def has_room(self) -> bool:
        """Whether a worker is free."""
        return self.blocks + self._reading.flying < self._workers.at_once

    @property
    def may_read(self) -> bool:
        """Whether files may be read; not once all blocks are made, since then there may be others to make."""
        return self.blocks > 0 and self._reading.more and (self._files is None or self._read < self._files)

    @property
    def reads_first(self) -> bool:
        """Whether files are read before another block is begun: on half of the workers, and not too far ahead."""
        few = self._reading.flying < self._workers.at_once // 2
        return few and self.may_read and self._reading.blocks < self._chains

    @property
    def is_over(self) -> bool:
        """Whether nothing is in hand that must be waited for."""
        return not self.blocks and (self._files is None or not self._reading.flying)

    def read(self) -> None:
        """Let a group of files be read."""
        self._read += 1
        self._reading.submit()

    def begin(self, work: Work) -> None:
        """A block is begun."""
        self.blocks += 1
        self.on_gpu += work.on_gpu

    def end(self, work: Work) -> None:
        """A block is over, made or not."""
        self.blocks -= 1
        self.on_gpu -= work.on_gpu
