"""A store for Python users: its stages, their versions, and the labels of panoramas by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property

from configs.pipeline import Config
from configs.settings import ConfigError
from flows.plan import Plan
from flows.reading.absent import NotThere, nearest_of
from flows.reading.labels import Labels
from flows.reading.notebook import table_html
from flows.reading.origin import Origin
from flows.reading.stage import StoredStage, gives_of
from flows.reading.versions import first_receipt, versions_of
from flows.stores.finished import LABELS
from flows.stores.stored import stored_plan
from storage.receipts import receipt_files
from storage.urls import children, join


class Store(Mapping[str, Labels]):
    """A store of labels: a mapping from the names of panoramas to their labels, where one stage gives labels or one was chosen.

    Parameters
    ----------
    root : str
        URL of the store.
    config : Config, optional
        With it, stages have the keys of its file, and each is read at the version that the file says now; without, stages have
        the names of the store, and each is read at its newest version.
    chosen : str, optional
        Key of the stage whose labels ``store[item]`` gives.
    version : str, optional
        Beginning of the fingerprint at which that stage is read.
    """

    def __init__(self, root: str, config: Config | None = None, chosen: str | None = None, version: str | None = None) -> None:
        self.root, self.config = root, config
        self._chosen, self._version = chosen, version

    @cached_property
    def _plan(self) -> Plan | None:
        return stored_plan(self.config) if self.config else None

    @cached_property
    def stages(self) -> dict[str, StoredStage]:
        """Every stage by its key, in the file's order: of a store without a file those that have a block, by name."""
        if self.config is not None and self._plan is not None:
            return {step.key: _of_step(Origin(self.config, self._plan, step)) for step in self._plan.steps}
        found = {}
        for name in children(join(self.root, "stages")):
            if versions := versions_of(self.root, name):
                newest = versions[0].fingerprint
                receipt = first_receipt(self.root, name, newest, receipt_files(self.root, name, newest))
                found[name] = StoredStage(name, name, self.root, newest, gives_of(name, receipt))
        return found

    def stage(self, key: str | None = None) -> StoredStage:
        """A stage by its key; without one the chosen stage, or the only one that gives labels.

        Raises
        ------
        NotThere
            There is no such stage; a KeyError.
        ConfigError
            No stage, or several, give labels, and none was chosen.
        """
        wanted = key or self._chosen
        if wanted is None:
            return self._at_version(self._only())
        if wanted not in self.stages:
            raise NotThere(f"{self.root} has no stage {wanted!r}; {nearest_of(wanted, list(self.stages))}")
        return self.stages[wanted] if key else self._at_version(self.stages[wanted])

    def _at_version(self, stage: StoredStage) -> StoredStage:
        return stage.version(self._version) if self._version else stage

    def _only(self) -> StoredStage:
        giving = [key for key, stage in self.stages.items() if stage.gives == LABELS]
        if len(giving) > 1:
            raise ConfigError(
                f"several stages give labels: {', '.join(giving)}; say which one: store.stage({giving[0]!r})[ITEM], or "
                f"panolabel.open(..., stage={giving[0]!r})"
            )
        if not giving:
            raise ConfigError(f"no stage of {self.root} gives labels; it has {', '.join(self.stages) or 'none with a receipt'}")
        return self.stages[giving[0]]

    def __getitem__(self, item: str) -> Labels:
        return self.stage()[item]

    def __iter__(self) -> Iterator[str]:
        return iter(self.stage())

    def __len__(self) -> int:
        return len(self.stage())

    def __repr__(self) -> str:
        return f"Store({self.root!r}, stages=[{', '.join(self.stages)}])"

    def _repr_html_(self) -> str:
        rows = [
            (one.key, one.gives, one.fingerprint, len(one) if one.gives == LABELS else "", len(one.versions))
            for one in self.stages.values()
        ]
        return table_html(self.root, ("stage", "gives", "version", "panoramas", "versions"), rows)


def _of_step(origin: Origin) -> StoredStage:
    stage = origin.step.stage
    return StoredStage(origin.step.key, stage.name, stage.root, stage.identity.fingerprint, stage.kind.gives, origin)
