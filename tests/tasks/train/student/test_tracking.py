"""Figures of a training as TensorBoard's own reader and a tracker of somebody else's receive them."""

import json
import math
from pathlib import Path

import pytest
from accelerate.tracking import LOGGER_TYPE_TO_CLASS, GeneralTracker, on_main_process, register_tracker_class

from configs.settings import ConfigError
from tasks.train.progress import Stopped
from tasks.train.train import refuse_misfit, train_block
from tests.support.label_store import write_label_store
from tests.support.trainings import training


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_label_store(tmp_path_factory.mktemp("tracked") / "labels", count=8, splits=("train", "train", "train", "val"))


def tracked(place, store, *trackers, **changes):
    return training(place, store, tracking={"trackers": list(trackers), **changes}, cosines_every=4)


def read_events(folder):
    """Tag -> (step, value) in the order in which they were told, by tensorboard's reader."""
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = reader.EventAccumulator(str(folder))
    events.Reload()
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def test_tensorboard_reads_all_figures_and_a_training_that_goes_on_tells_each_step_once(tmp_path, store):
    pytest.importorskip("tensorboard")
    one = tracked(tmp_path, store, "tensorboard")
    calls = iter([False, False, True])
    with pytest.raises(Stopped):
        train_block(one, lambda: next(calls))
    Path(one.checkpoints, "step-00000003.pt").unlink()  # as after a kill: step 3 was told, and is done again
    train_block(one)
    events = read_events(tmp_path / "students" / "logs" / f"train-{one.identity.fingerprint[:8]}")
    log = {int(step): row for step, row in json.loads(Path(one.url, "log.json").read_text()).items()}
    assert sorted(log) == [1, 2, 3, 4]
    names = {name for row in log.values() for name in row}
    assert names == events.keys()
    assert {"depth", "depth.edge", "normals", "semantics.dice", "total", "score", "optimizer.gradient_norm"} <= names
    for name in names:
        steps, values = zip(*events[name])
        assert dict(zip(steps, values)) == pytest.approx({step: row[name] for step, row in log.items() if name in row}, rel=1e-6)
        assert list(steps) == sorted(set(steps)), "no step is told twice"
    rates = [1e-3 * (1 - step / 4) ** 0.9 for step in range(4)]
    assert [value for _, value in events["optimizer.learning_rate"]] == pytest.approx(rates)
    cosines = {name: values for name, values in events.items() if name.startswith("cosines.")}
    assert "cosines.backbone/depth~normals" in cosines
    assert all(step == 4 and -1 <= value <= 1 for ((step, value),) in cosines.values())


def test_looking_at_gradients_changes_no_weight(tmp_path, store):
    plain = train_block(training(tmp_path / "plain", store))
    watched = train_block(training(tmp_path / "watched", store, cosines_every=1))
    assert plain.about["weights"] == watched.about["weights"]
    assert plain.fingerprint == watched.fingerprint
    assert math.isfinite(watched.about["figures"]["cosines.backbone/depth~semantics"])


class Foreign(GeneralTracker):
    """A tracker that writes lines, and breaks when it is asked to."""

    name = "foreign"
    requires_logging_directory = True

    def __init__(self, run_name: str, logging_dir: str, breaks_at: int = 99) -> None:
        super().__init__()
        self.file, self.breaks_at = Path(logging_dir, f"{run_name}.txt"), breaks_at

    @property
    def tracker(self) -> Path:
        return self.file

    @on_main_process
    def log(self, values: dict, step: int | None = None, **_: object) -> None:
        if step == self.breaks_at:
            raise ConnectionError("nobody listens")
        with self.file.open("a") as file:
            file.write(f"{step} {sorted(values)[0]}\n")


@pytest.fixture
def foreign():
    register_tracker_class(Foreign)
    yield
    LOGGER_TYPE_TO_CLASS.pop("foreign")


@pytest.mark.usefixtures("foreign")
def test_a_tracker_that_fails_costs_its_figures_and_not_the_training(tmp_path, store):
    one = tracked(tmp_path, store, "foreign", folder=str(tmp_path / "lines"), settings={"foreign": {"breaks_at": 3}})
    with pytest.warns(UserWarning, match=r"foreign fails and gets no more figures \(nobody listens\); training goes on"):
        assert train_block(one).about["steps"] == 4
    lines = (tmp_path / "lines" / f"train-{one.identity.fingerprint[:8]}.txt").read_text().split("\n")
    assert [line.split(" ")[0] for line in lines] == ["1", "2", "2", ""]  # losses and the score of step 2


@pytest.mark.parametrize(
    ("tracking", "told"),
    [
        ({"trackers": ["tensorbord"]}, "tracking.trackers: 'tensorbord' is not known; did you mean 'tensorboard'?"),
        ({"trackers": ["clearml"]}, "tracking.trackers: clearml is not installed; pip install clearml, or remove it"),
    ],
)
def test_trackers_that_cannot_be_used_are_told_before_training(tmp_path, store, tracking, told):
    with pytest.raises(ConfigError, match=told.replace("?", r"\?")):
        refuse_misfit(training(tmp_path, store, tracking=tracking).stage, [])


def test_a_store_elsewhere_needs_a_folder_for_trackers(tmp_path, store):
    with pytest.raises(
        ConfigError, match=r"stages.train.tracking.folder: trackers write to a local folder, and memory://models is none"
    ):
        refuse_misfit(training(tmp_path, store, root="memory://models", tracking={"trackers": ["tensorboard"]}).stage, [])
