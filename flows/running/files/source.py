"""One source of a run: its new and changed files are read group by group, and placed as soon as whole blocks are read."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from uuid import UUID

from prefect.futures import PrefectFuture
from prefect.utilities.annotations import quote

from flows.running.block_task import submit
from flows.running.files.groups import file_groups, files_task
from flows.running.workers import Workers
from flows.telling.progress import observer
from storage.columns import found_in
from storage.items import Item, Items
from tasks.ingest import ingest
from tasks.ingest.admission import Admission
from tasks.ingest.entries import Entries, Entry
from tasks.ingest.ingest import Scan
from tasks.ingest.life import with_former_names
from tasks.stage.kind import Stage


class SourceReading:
    """What is left to read of a source, and what was read of it.

    A trial reads the files that it ``wants``, and places none of them.
    """

    def __init__(self, stage: Stage, scan: Scan, wants: frozenset[str] | None, workers: Workers) -> None:
        self.stage = stage
        self.admission: Admission | None = None
        self.wanted = scan.to_read
        if wants is not None:
            self.wanted = scan.to_read.where(found_in(scan.to_read.column("item"), wants))
        elif scan.to_read or scan.checked:
            self.admission = Admission(scan.known, scan.checked, scan.to_read, stage.settings.block_size)
            self.wanted = self.admission.in_order(scan.to_read)
        self.flying, self.nodes = 0, list[UUID]()
        self._scan = scan
        self._groups = deque(file_groups(self.wanted, workers.at_once))
        self._number = 0
        self._checked = [scan.checked]
        before = scan.known.where(found_in(scan.known.column("item"), self.wanted.names))
        self._before = {item.item: item for item in before}
        self._task = files_task(stage, workers)

    @property
    def owes(self) -> bool:
        """Whether anything of it is to be read or placed."""
        return bool(self.wanted or self.admission)

    @property
    def groups(self) -> int:
        """Groups of files that nobody reads yet."""
        return len(self._groups)

    @property
    def read(self) -> int:
        """Groups of files that are read."""
        return self._number - self.flying

    @property
    def over(self) -> bool:
        """Whether all that it owes is read."""
        return not self._groups and not self.flying

    @property
    def blocks(self) -> int:
        """Blocks whose files are all read, and that have no places yet."""
        return self.admission.blocks if self.admission else 0

    def submit(self) -> PrefectFuture[list[Item]]:
        """Let the next group be read."""
        files: list[tuple[Entry, Item | None]] = [(entry, self._before.get(entry.item)) for entry in self._groups.popleft()]
        self._number += 1
        self.flying += 1
        return submit(self._task, "files", {"files": quote(files), "number": self._number}, ())

    def done(self, future: PrefectFuture[list[Item]]) -> None:
        """A group is read. It is kept, so that a run that is killed or stopped need not read it again."""
        self.flying -= 1
        items = future.result()
        ingest.keep(self.stage, items)
        self.nodes.append(future.task_run_id)
        self._checked.append(Items.made_of(items))
        if self.admission:
            self.admission.note(items)
        observer().items_done(self.stage.key, len(items), sum(bool(item.reason) for item in items))

    def place_whole(self) -> Scan:
        """Give the blocks whose files are all read their places. Returns what is known of the source, so far as it is placed."""
        if self.admission is None:
            return self._scan
        if taken := self.admission.take():
            ingest.admit(self.stage, with_former_names(self._scan, taken))
        return replace(self._scan, known=self.admission.settled, to_read=Entries.made_of([]), checked=ingest.NONE)

    def place_all(self) -> Scan:
        """Give all that was read its places, and write the manifest. Returns all that is known of the source."""
        checked = ingest.NONE.plus(*self._checked)
        if self.admission is not None:
            checked = with_former_names(self._scan, checked)
            return ingest.placed(self.stage, self._scan, ingest.save(self.stage, self._scan.known, checked))
        names = self.wanted.names
        left = self._scan.to_read.where(~found_in(self._scan.to_read.column("item"), names))
        return replace(self._scan, to_read=left, checked=checked) if names else self._scan
