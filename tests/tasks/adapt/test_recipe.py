"""The stages of an adaptation on a small world: only what changed is made again, and what is stored is what was meant."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from configs.pipeline import Config
from configs.settings import ConfigError
from models.adaptation.object_pool import cut_objects
from models.adaptation.thresholds import BINS
from models.seamless.saved import SeamlessModel, model_of_files, save_model
from storage.arrays import BlockReader, DamagedBlock
from storage.receipts import drop_receipt
from tasks.adapt.arrays import unpack_objects, unpack_scores
from tasks.adapt.pool import read_pool, write_pool
from tasks.stage.attempts.guard import run_guarded
from tests.support.discs import (
    CLASSES,
    THINGS,
    WIDTH,
    block_of,
    job_of,
    make_owed,
    plan_of,
    read,
    scene,
    source_files,
    step_of,
    write_adaptation,
    write_panoramas,
)
from tests.support.receipts import receipt_of

EVERY = {"adapt.predict": 3, "adapt.scores": 3, "adapt.thresholds": 1, "adapt.omni": 3, "adapt.pool": 1, "adapt": 1, "compare": 3}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adaptation that is done: six panoramas in three blocks."""
    path = write_adaptation(tmp_path_factory.mktemp("discs"))
    assert make_owed(load(path)) == EVERY
    return path


def load(path: Path, **overrides: Any) -> Config:
    return read(path, **overrides)


def predictions(config: Config) -> list[dict[str, np.ndarray]]:
    found = []
    for index in range(3):
        url, receipt = block_of(config, "adapt.predict", index)
        found += [BlockReader(url, receipt.files).item(slot) for slot in range(2)]
    return found


def test_only_what_changed_is_made_again(path: Path) -> None:
    assert make_owed(load(path)) == {}
    cases: list[tuple[dict[str, Any], set[str]]] = [
        ({"compare__instance_score": 0.4}, {"compare"}),
        ({"adapt__training__seed": 1}, {"adapt", "compare"}),
        ({"adapt__pool__rule__share": 0.4}, {"adapt.pool", "adapt", "compare"}),
        ({"adapt__omni__amodals__share": 0.4}, {"adapt.thresholds", "adapt.omni", "adapt", "compare"}),
        ({"adapt__height": 96}, set(EVERY)),
    ]
    before = {step.key: step.stage.identity.fingerprint for step in plan_of(load(path))}
    for change, expected in cases:
        after = {step.key: step.stage.identity.fingerprint for step in plan_of(load(path, **change))}
        assert {name for name in after if after[name] != before[name]} == expected, change
    for quiet in ({"adapt__checkpoint_every": 5}, {"execution__batch_size": 2}):
        assert {step.key: step.stage.identity.fingerprint for step in plan_of(load(path, **quiet))} == before
    assert make_owed(load(path, adapt__omni__amodals__share=0.4)) == {
        "adapt.thresholds": 1,
        "adapt.omni": 3,
        "adapt": 1,
        "compare": 3,
    }


def test_a_lost_receipt_and_new_panoramas(tmp_path: Path) -> None:
    path = write_adaptation(tmp_path, 2, truth=False)
    config = load(path, adapt__training__mixing="none", adapt__training__steps=1)
    assert make_owed(config) == {"adapt.predict": 1, "adapt.scores": 1, "adapt.thresholds": 1, "adapt.omni": 1, "adapt": 1}
    drop_receipt(block_of(config, "adapt.predict")[0])
    assert make_owed(config) == {"adapt.predict": 1}
    write_panoramas(tmp_path / "target", range(2, 4))
    assert make_owed(config) == {"adapt.predict": 1, "adapt.scores": 1, "adapt.thresholds": 1, "adapt.omni": 2, "adapt": 1}, (
        "old predictions stay"
    )


def test_thresholds_are_those_of_sorting_all_predictions(path: Path) -> None:
    config = load(path)
    omni = step_of(config, "adapt.omni").stage.settings
    url, receipt = block_of(config, "adapt.thresholds")
    stored = BlockReader(url, receipt.files).item(0)
    for row, branch, rule in ((1, "instances", omni.instances), (2, "amodals", omni.amodals)):
        pairs = [unpack_scores(branch, arrays) for arrays in predictions(config)]
        labels, scores = (np.concatenate(parts) for parts in zip(*pairs))
        assert len(scores) > 20
        for label in range(len(CLASSES)):
            own = np.sort(scores[labels == label])[::-1]
            assert stored["predictions"][row, label] == len(own)
            wanted = min(rule.fixed, own[min(round(len(own) * rule.share), len(own) - 1)]) if len(own) else rule.fixed
            assert wanted - 1 / BINS <= stored["thresholds"][row, label] <= wanted
    assert receipt.items[0].figures["semantic"]["sky"]["threshold"] == stored["thresholds"][0, 0]


def test_labels_are_kept_by_threshold_and_cut_to_things(path: Path) -> None:
    config = load(path)
    thresholds = BlockReader(*_files(config, "adapt.thresholds")).item(0)["thresholds"]
    omni, dropped = BlockReader(*_files(config, "adapt.omni")).item(1), 0
    predicted = predictions(config)[1]
    area = np.isin(predicted["semantics"], THINGS)
    for row, branch in ((1, "instances"), (2, "amodals")):
        found, kept = (unpack_objects(branch, arrays, WIDTH) for arrays in (predicted, omni))
        sure = (found.scores >= thresholds[row][found.classes]) & (found.masks & area).any(axis=(1, 2))
        np.testing.assert_array_equal(kept.masks, found.masks[sure] & area)
        np.testing.assert_array_equal(kept.scores, found.scores[sure])
        dropped += int((~sure).sum())
    assert dropped, "else the thresholds were not tried"


def _files(config: Config, stage: str, index: int = 0) -> tuple[str, Any]:
    url, receipt = block_of(config, stage, index)
    return url, receipt.files


def test_the_pool_holds_the_surest_objects_and_can_be_looked_through(path: Path) -> None:
    config = load(path)
    url, receipt = block_of(config, "adapt.pool")
    pool = read_pool(url, receipt)
    labels = [one.label for one in pool]
    assert pool
    assert max(labels.count(label) for label in labels) <= step_of(config, "adapt.pool").stage.settings.per_class
    assert set(labels) <= set(THINGS)
    for one in pool:
        index = int(one.item[1:])
        pixels = scene(index, 0.8)[0]
        rows, columns = np.arange(one.box[0], one.box[0] + one.box[2]), np.arange(one.box[1], one.box[1] + one.box[3]) % WIDTH
        np.testing.assert_array_equal(one.pixels, pixels[rows[:, None], columns])
        assert 2 * one.overlap.sum() <= one.whole.sum()
    page = Path(url, "index.html").read_text()
    assert page.count("<img") == len(pool) == len(list(Path(url).glob("*/*.png")))


def test_a_pool_comes_back_as_it_was_written(tmp_path: Path) -> None:
    image, _, wholes, classes = scene(10)
    pool = cut_objects("a/b", image, wholes, classes, np.linspace(0.5, 0.9, len(wholes)), np.ones(len(wholes), bool))
    assert any(one.overlap.any() for one in pool)
    write_pool(str(tmp_path), pool, ["<sky>", "a & b", "car / van", ".."])
    files = {str(file.relative_to(tmp_path)): file for file in tmp_path.rglob("*") if file.is_file()}
    receipt = receipt_of(tmp_path)
    for one, other in zip(pool, read_pool(str(tmp_path), receipt), strict=True):
        assert (one.item, one.panorama, one.label, one.score) == (other.item, other.panorama, other.label, other.score)
        for name in ("box", "pixels", "whole", "overlap"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    next(file for name, file in files.items() if name.endswith(".png")).write_bytes(b"torn")
    with pytest.raises(DamagedBlock, match="object pool is not what was written"):
        read_pool(str(tmp_path), receipt)


def test_truth_changes_nothing_that_is_learned(path: Path, tmp_path: Path) -> None:
    known = yaml.safe_load(path.read_text())
    del known["stages"]["compare"], known["stages"]["ingest"]["source"]["truth"]
    (tmp_path / "blind.yaml").write_text(yaml.safe_dump(known | {"root": str(tmp_path)}, sort_keys=False))
    blind = load(tmp_path / "blind.yaml")
    assert make_owed(blind) == {name: count for name, count in EVERY.items() if name != "compare"}
    one, other = (Path(block_of(config, "adapt")[0], "model", "model.safetensors").read_bytes() for config in (load(path), blind))
    assert one == other
    assert one != source_files()["model.safetensors"]


def test_nothing_found_is_no_accident(tmp_path: Path) -> None:
    path = write_adaptation(tmp_path, 2, truth=False)
    model = model_of_files(source_files())
    for branch in (model.network.instances, model.network.amodals):
        torch.nn.init.zeros_(branch.name.weight)
        with torch.no_grad():
            branch.name.bias.copy_(torch.tensor([-20.0, -20, 20]))
    save_model(SeamlessModel(model.network, model.classes), tmp_path / "source_model")
    config = load(path, adapt__training__steps=1)
    make_owed(config)
    assert block_of(config, "adapt.thresholds")[1].items[0].figures["amodals"] == {}
    assert block_of(config, "adapt.pool")[1].items[0].figures["objects"] == {}
    assert block_of(config, "adapt")[1].items[0].figures["pool"] == 0
    stored = BlockReader(*_files(config, "adapt.thresholds")).item(0)["thresholds"]
    assert (stored[2] == step_of(config, "adapt.omni").stage.settings.amodals.fixed).all()


def test_a_panorama_that_is_gone_is_given_up_and_the_others_go_on(tmp_path: Path) -> None:
    path = write_adaptation(tmp_path, 4, truth=False)
    config = load(path, adapt__training__steps=1)
    plan_of(config)
    (tmp_path / "target" / "images" / "p01.png").unlink()
    scan = make_owed(config)
    assert scan["adapt.predict"] == 2
    states = [row.state for row in block_of(config, "adapt.omni")[1].items]
    assert states == ["done", "quarantined"]
    assert "gone" in block_of(config, "adapt.omni")[1].items[1].reason
    assert block_of(config, "adapt")[1].items[0].figures["panoramas"] == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"source_data": "/data"}, "source_data: an adaptation gets no source data"),
        ({"labels": "/data"}, "adapt.predict.labels: must be the key of a stage"),
        ({"teachers": [{"name": "a"}]}, "adapt.teachers: unknown key"),
        ({"training": {"crop": [96, 96]}}, "96 x 96 does not fit into panoramas of 64 x 128"),
        ({"traning": {}}, "did you mean 'training'"),
    ],
)
def test_a_config_that_gives_source_data_or_makes_no_sense_is_refused(tmp_path: Path, change: dict, message: str) -> None:
    path = write_adaptation(tmp_path, 1, **change)
    with pytest.raises(ConfigError, match=message):
        load(path)


def test_labelled_pinhole_images_are_no_panoramas(path: Path) -> None:
    with pytest.raises(ConfigError, match="labelled pinhole data"):
        load(path, ingest__source={"kind": "cityscapes", "root": "/data"})


def test_a_block_made_in_a_process_of_its_own_is_the_same(path: Path) -> None:
    url, receipt = block_of(load(path), "adapt.scores")
    again = run_guarded(job_of(load(path), "adapt.scores", run="guarded"))
    assert again.made["run"] == "guarded"
    assert (again.files, again.items) == (receipt.files, receipt.items)
    assert block_of(load(path), "adapt.scores") == (url, again)
