"""Training that is interrupted, killed, out of disk or diverging: it goes on to the same result, or stops and loses nothing."""

import hashlib
import os
import pickle
import resource
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from geometry.resampling.augment import Augmentation
from models.student import StudentModel
from models.student.configuration import tiny_config
from models.student.losses import LossSettings
from tasks.train.checkpoints import load_best, load_checkpoint
from tasks.train.labels.data import DataSettings, TrainingData
from tasks.train.labels.items import ItemSettings
from tasks.train.progress import Diverged
from tasks.train.settings import TrainSettings
from tasks.train.student.training import train_model
from tests.support.label_store import CLASSES, write_label_store
from tests.support.processes import until

DATA = DataSettings(ItemSettings(height=16, augmentation=Augmentation()), batch_size=2, threads=1)
SETTINGS = TrainSettings(
    steps=6, learning_rate=1e-3, frozen_steps=1, average=0.5, checkpoint_every=2, score_every=3, log_every=1, device="cpu"
)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_label_store(tmp_path_factory.mktemp("train") / "labels", count=8, splits=("train", "train", "train", "val"))


SMALL = {"bottlenecks": 1, "main_tasks": ("depth", "semantics"), "auxiliaries": False, "bridges": False}


def fresh(classes=CLASSES):
    torch.manual_seed(0)
    return StudentModel(tiny_config("dinov2", classes, **SMALL))


def run(store, url, settings=SETTINGS, log=lambda _step, _figures: None, data=DATA, stop=lambda: False):
    """Train a new student; returns its weights and the progress."""
    model = fresh()
    held_out = TrainingData([store], replace(data, split="val", batch_size=2))
    progress = train_model(model, TrainingData([store], data), held_out, settings, str(url), log, stop)
    return model.state_dict(), progress


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture(scope="module")
def whole(store, tmp_path_factory):
    """What an uninterrupted training ends with: weights, newest checkpoint, figures by step, folder."""
    url, figures = tmp_path_factory.mktemp("whole"), {}
    weights, progress = run(store, url, log=lambda step, terms: figures.setdefault(step, {}).update(terms))
    assert (progress.step, progress.epoch, progress.batch) == (6, 1, 3)
    return weights, load_checkpoint(str(url)), figures, url


@pytest.fixture
def after_four(whole, tmp_path):
    """A training that was stopped after four of its six steps."""
    url = shutil.copytree(whole[3], tmp_path / "stopped")
    (url / "step-00000006.pt").unlink()
    return url


def test_the_loss_falls_and_all_figures_are_told(whole):
    _, checkpoint, figures, _ = whole
    assert sorted(figures) == [1, 2, 3, 4, 5, 6]
    assert figures[6]["total"] < figures[1]["total"]
    assert {"depth", "depth.edge", "semantics.dice", "preliminary.depth"} <= figures[1].keys()
    assert [step for step in figures if "score" in figures[step]] == [3, 6]
    assert checkpoint["progress"]["best"] == min(figures[step]["score"] for step in (3, 6))


def test_frozen_steps_leave_the_backbone_as_it_was(store, tmp_path):
    run(store, tmp_path, replace(SETTINGS, steps=2, frozen_steps=2))
    start, end = fresh().state_dict(), load_checkpoint(str(tmp_path))["model"]
    moved = {name.split(".")[0] for name in start if not torch.equal(start[name], end[name])}
    assert "backbone" not in moved
    assert {"streams", "heads", "features", "decoders"} <= moved


def test_the_rate_rises_to_where_it_would_be_without_warming_up(store, tmp_path):
    rates = []
    run(store, tmp_path, replace(SETTINGS, steps=4, warmup_steps=2), lambda _, f: rates.append(f.get("optimizer.learning_rate")))
    falling = [1e-3 * (1 - step / 4) ** 0.9 for step in range(4)]
    told = [float(rate) for rate in rates if rate is not None]
    assert told == pytest.approx([falling[0] / 3, falling[1] * 2 / 3, falling[2], falling[3]])


@pytest.mark.parametrize("last", [1, 5])
def test_an_interrupted_training_ends_as_if_it_had_not_been(store, whole, tmp_path, last):
    def interrupt(step, _figures):
        if step == last:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(store, tmp_path, log=interrupt)
    weights, progress = run(store, tmp_path)
    assert same(weights, whole[0])
    assert progress.step == 6
    assert same(load_checkpoint(str(tmp_path))["model"], whole[1]["model"])
    assert vars(progress) == whole[1]["progress"]


def test_a_finished_training_is_not_done_again(store, whole):
    steps = []
    weights, _ = run(store, whole[3], log=lambda step, _: steps.append(step))
    assert steps == []
    assert same(weights, whole[0])


KILLED = """
import pickle, sys, time
import tests.tasks.train.test_loop as here
store, url = pickle.load(open(sys.argv[1], "rb")), sys.argv[2]
here.run(store, url, log=lambda step, _: time.sleep(0.3))
"""


@pytest.fixture
def threads():
    """The number of threads is given back."""
    before = torch.get_num_threads()
    yield before
    torch.set_num_threads(before)


def test_a_killed_training_goes_on_to_the_same_bytes_in_another_process_with_other_threads(store, whole, tmp_path, threads):
    with (tmp_path / "store").open("wb") as file:
        pickle.dump(store, file)
    url = tmp_path / "run"
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path / "store"), str(url)], env=environment)
    until(lambda: (url / "step-00000002.pt").exists(), process)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert load_checkpoint(str(url))["progress"]["step"] < 6
    torch.set_num_threads(threads % 2 + 1)
    weights, _ = run(store, url)
    assert torch.get_num_threads() == threads % 2 + 1
    assert same(weights, whole[0])
    for name in ("model", "average", "optimizer"):
        assert digest_of(load_checkpoint(str(url))[name]) == digest_of(whole[1][name])


def digest_of(state):
    """sha256 of all tensors and numbers of nested state."""
    tensors, rest = [], []

    def walk(part):
        if isinstance(part, torch.Tensor):
            tensors.append(part.numpy().tobytes())
        elif isinstance(part, (dict, list)):
            for one in part.values() if isinstance(part, dict) else part:
                walk(one)
        else:
            rest.append(repr(part))

    walk(state)
    return hashlib.sha256(b"".join(tensors) + "".join(rest).encode()).hexdigest()


def test_a_damaged_checkpoint_is_passed_over(store, whole, tmp_path):
    shutil.copytree(whole[3], tmp_path, dirs_exist_ok=True)
    newest = tmp_path / "step-00000006.pt"
    newest.write_bytes(newest.read_bytes()[:1000])
    with pytest.warns(UserWarning, match="step-00000006.pt: is damaged"):
        run(store, tmp_path)
    assert same(load_checkpoint(str(tmp_path))["model"], whole[1]["model"])


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("bomb",)


def test_a_checkpoint_cannot_run_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"model": Bomb()}, tmp_path / "step-00000001.pt")
    with pytest.warns(UserWarning, match="is damaged"):
        assert load_checkpoint(str(tmp_path)) is None
    assert not (tmp_path / "bomb").exists()


def test_a_diverging_loss_stops_with_the_last_good_checkpoint(store, after_four):
    before = load_checkpoint(str(after_four))
    wild = replace(SETTINGS, steps=20, learning_rate=1e30, clip=1e30, checkpoint_every=100)
    with pytest.raises(Diverged, match=r"the loss is no number any more \(.*other settings begin anew"):
        run(store, after_four, wild)
    after = load_checkpoint(str(after_four))
    assert after["progress"]["step"] == 4
    assert same(after["model"], before["model"])
    assert all(value.isfinite().all() for value in after["model"].values())


@contextmanager
def files_of_at_most(size):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_stops_training_and_loses_nothing(store, after_four):
    files = {file.name: file.read_bytes() for file in after_four.iterdir()}
    with files_of_at_most(10_000), pytest.raises(OSError, match="File too large"):
        run(store, after_four)
    assert {file.name: file.read_bytes() for file in after_four.iterdir()} == files


@pytest.mark.slow
def test_only_the_newest_checkpoints_are_kept(store, tmp_path):
    run(store, tmp_path, replace(SETTINGS, steps=5, checkpoint_every=1, keep=2))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["best.pt", "step-00000004.pt", "step-00000005.pt"]


@pytest.mark.slow
def test_without_a_better_score_training_ends_early_with_the_best_weights(store, tmp_path):
    still = replace(SETTINGS, steps=50, learning_rate=0.0, score_every=1, patience=3)
    weights, progress = run(store, tmp_path, still)
    assert (progress.step, progress.since_best) == (4, 3)
    assert same(weights, load_best(str(tmp_path))["model"])
    assert load_best(str(tmp_path))["step"] == 1


def test_a_step_takes_as_many_batches_as_it_is_told(store, tmp_path):
    model = fresh()
    data = TrainingData([store], replace(DATA, batch_size=1))
    progress = train_model(model, data, None, replace(SETTINGS, steps=5, accumulate=2), str(tmp_path), lambda *_: None)
    assert (progress.step, progress.epoch, progress.batch) == (5, 1, 4)  # 10 batches, 6 an epoch


def test_a_student_of_other_classes_or_tasks_is_refused(store, tmp_path):
    def begin(model, data):
        train_model(model, TrainingData([store], data), None, SETTINGS, str(tmp_path), lambda *_: None)

    with pytest.raises(ValueError, match=r"the student has 2 classes \(a, b, ...\) and the labels 4 \(dark, dim, light, ...\)"):
        begin(fresh(classes=("a", "b")), DATA)
    with pytest.raises(ValueError, match="the student learns depth, semantics, but labels of normals are read"):
        begin(fresh(), replace(DATA, item=replace(DATA.item, tasks=("normals",))))


@pytest.mark.slow
def test_in_bfloat16_the_loss_falls_too_and_the_student_comes_back_as_it_was(store, tmp_path):
    figures, model = {}, fresh()
    settings = replace(SETTINGS, precision="bf16")
    train_model(
        model, TrainingData([store], DATA), None, settings, str(tmp_path), lambda step, terms: figures.update({step: terms})
    )
    assert figures[6]["total"] < figures[1]["total"]
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())
    assert "forward" not in vars(model)  # no wrapper of accelerate's is left on it


ONE_OF_TWO = """
import os, pickle, sys
import torch
import tests.tasks.train.test_loop as here
from tasks.train.progress import Stopped
store, url, rank = pickle.load(open(sys.argv[1], "rb")), sys.argv[2], os.environ["RANK"]
data = here.replace(here.ALIKE, batch_size=1)
try:
    here.run(store, url, here.MEANS, data=data, stop=lambda: rank == "1")
except Stopped as stopped:
    open(f"{url}/stopped{rank}", "w").write(str(stopped))
weights, _ = here.run(store, url, here.MEANS, data=data)
torch.save(weights, f"{url}/rank{rank}")
"""
ALIKE = replace(DATA, item=replace(DATA.item, tasks=("semantics",), confidence=False))
MEANS = replace(SETTINGS, losses=LossSettings(dice=0))
"""Labels that are known everywhere, and losses that are means over panoramas: a mean over processes of means is then the mean."""


@pytest.mark.slow
def test_two_processes_train_what_one_trains_with_twice_the_batch(store, tmp_path):
    with (tmp_path / "store").open("wb") as file:
        pickle.dump(store, file)
    script, url = tmp_path / "train.py", tmp_path / "run"
    script.write_text(ONE_OF_TWO)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    command = [*launch, str(script), str(tmp_path / "store"), str(url)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}  # the script lies elsewhere and imports this file
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    for rank in "01":  # only the second one was asked to stop
        assert (url / f"stopped{rank}").read_text().startswith("stopped after step 1 of 6")
    both = torch.load(url / "rank0")
    assert same(both, torch.load(url / "rank1"))
    progress = load_checkpoint(str(url))["progress"]
    assert (progress["step"], progress["epoch"], progress["batch"]) == (6, 1, 3)
    alone, _ = run(store, tmp_path / "alone", MEANS, data=ALIKE)
    start = fresh().state_dict()
    assert max(float((alone[name] - start[name]).abs().max()) for name in alone) > 5e-4
    for name, value in alone.items():
        torch.testing.assert_close(both[name], value, rtol=0, atol=2e-5)  # Adam makes much of gradients that are all rounding
