"""One view per step, through the real stages: what a single patch says, where it looks, and nothing else."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from geometry.directions import erp_directions
from storage.items import Block
from storage.receipts import drop_data
from tasks.label import fuse
from tasks.label.project import choose_views
from tasks.train.labels.data import DataSettings, LabelStore, TrainingData
from tasks.train.labels.items import ItemSettings
from tests.support.label_store import write_panorama
from tests.support.pipelines import load, write_pipeline
from tests.support.stages import job_of, stage_of

ITEM = ItemSettings(height=32, one_view=("depth",))
SETTINGS = DataSettings(ITEM, batch_size=2, threads=2)


def run_stages(folder: Path, **changes) -> LabelStore:
    """Two panoramas through project, label and fuse, block by block."""
    config = load(write_pipeline(folder, count=0, **changes))
    items = tuple(write_panorama(folder / "images", number, 48, "") for number in range(2))
    block = Block(0, items)
    for key in ("project", "geometry", "classes"):
        stage_of(config, key).make(job_of(config, key, block))
    job = job_of(config, "fuse", block)
    return LabelStore(job.stage, [(job.url, block, fuse.fuse_block(job))])


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return run_stages(tmp_path_factory.mktemp("views"))


def test_depth_is_valid_in_one_view_alone_and_the_rest_is_merged(store):
    data, merged = TrainingData([store], SETTINGS), TrainingData([store], replace(SETTINGS, item=replace(ITEM, one_view=())))
    digests = {item.item: item.digest for item in store.blocks[0][1].items}
    whole = {name: index for index, name in enumerate(next(merged.batches(0)).items)}
    fused = next(merged.batches(0)).labels
    seen, layout = {}, store.stage.stages("views")[0].settings
    for epoch in range(6):
        (batch,) = data.batches(epoch)
        for index, name in enumerate(batch.items):
            valid = batch.labels["depth"].valid[index, 0].numpy()
            inside = [camera.project(erp_directions(32, 64))[2] for camera in choose_views(layout, digests[name])]
            matches = [number for number, one in enumerate(inside) if (one == valid).mean() > 0.99]
            assert len(matches) == 1
            seen.setdefault(name, set()).update(matches)
            other = whole[name]
            for task in ("normals", "semantics"):
                np.testing.assert_array_equal(batch.labels[task].value[index], fused[task].value[other])
                assert batch.labels[task].valid[index].all()
            # Every view of this teacher says the same of a direction, so one view agrees with all together.
            single, together = batch.labels["depth"].value[index, 0].numpy(), fused["depth"].value[other, 0].numpy()
            assert np.median(np.abs(single / together - 1)[valid]) < 0.02
    assert all(len(views) > 1 for views in seen.values())


def test_the_same_step_takes_the_same_view_again(store):
    one, other = (next(TrainingData([store], SETTINGS).batches(4)) for _ in range(2))
    for task, label_ in one.labels.items():
        assert (label_.value == other.labels[task].value).all()


def test_semantics_and_normals_of_one_view(store):
    item = replace(ITEM, one_view=("depth", "normals", "semantics"))
    (batch,) = TrainingData([store], replace(SETTINGS, item=item)).batches(0)
    for index in range(2):
        share = {task: float(one.valid[index].float().mean()) for task, one in batch.labels.items()}
        assert 0.05 < share["depth"] < 0.4  # 100 degrees square are a fifth of the sphere
        assert share["normals"] == share["depth"]
        assert share["semantics"] == share["depth"]
        assert set(np.unique(batch.labels["semantics"].value[index])) <= {0, 1}
        valid = batch.labels["normals"].valid[index, 0].numpy()
        towards = -(batch.labels["normals"].value[index].numpy() * erp_directions(32, 64).transpose(2, 0, 1)).sum(0)
        assert towards[valid].min() > 0.99  # this teacher's normals look at the camera


def test_one_view_counts_though_no_other_agrees_with_it(store):
    item = replace(ITEM, one_view=("depth", "normals", "semantics"))
    (batch,) = TrainingData([store], replace(SETTINGS, item=item)).batches(0)
    for task, one in batch.labels.items():
        assert (one.weight()[one.valid] > 0).float().mean() > 0.99, task


def test_dropped_patch_labels_and_wrong_settings_are_named(tmp_path):
    store = run_stages(tmp_path)
    with pytest.raises(ValueError, match="one_view: depth are not among the tasks normals"):
        ItemSettings(height=32, tasks=("normals",), one_view=("depth",))
    with pytest.raises(ValueError, match="tasks: albedo are not stored"):
        ItemSettings(height=32, tasks=("albedo",))
    _, block, _ = store.blocks[0]
    drop_data(next(one for one in store.stage.stages("labels") if one.key == "geometry").block_url(block.name))
    with pytest.raises(ValueError, match=r"was dropped.*keep: always"):
        TrainingData([store], SETTINGS)


def test_views_without_a_common_scale_are_refused(tmp_path, monkeypatch):
    from tests.support import brightness

    plain = brightness.BrightnessTeacher.__call__

    def relative(self, patches, cameras, item):
        fields = plain(self, patches, cameras, item)
        return {**fields, "depth": replace(fields["depth"], unit="scale")}

    monkeypatch.setattr(brightness.BrightnessTeacher, "__call__", relative)
    with pytest.raises(ValueError, match="depth in the unit 'scale' has another scale in every view"):
        TrainingData([run_stages(tmp_path)], SETTINGS)
