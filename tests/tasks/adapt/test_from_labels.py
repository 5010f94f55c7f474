"""Labels of a teacher in the place of predictions: streets labelled by the real stages, learned by a net with other classes."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from configs.pipeline import Config
from configs.settings import ConfigError
from flows.plan import make_plan
from flows.running.others import refuse_missing
from models.adaptation.pseudo_labels import IGNORED
from models.seamless.network import SMALL, SeamlessNetwork, SeamlessSettings
from models.seamless.saved import SeamlessModel, save_model
from scenes.dataset import write_dataset
from scenes.vocabulary import CLASSES
from storage.arrays import BlockReader
from tasks.adapt.arrays import unpack_objects
from tasks.seamless.vocabulary import BRANCHES
from tests.support.discs import BRANCH, block_of, make_owed, read

HEIGHT = 64
NAMES = ("road", "building", "sidewalk", "sky", "vegetation", "terrain", "person", "car", "bus")
THINGS = range(6, 9)


def write_configs(folder: Path) -> tuple[Path, Path]:
    """Two streets, the config that labels them, and that of an adaptation to these labels."""
    write_dataset(folder / "streets", "street", 2, 3, HEIGHT, 2 * HEIGHT, processes=1)
    torch.manual_seed(0)
    settings = SeamlessSettings(len(NAMES), THINGS, encoder_config=SMALL, channels=24, seam=32, branch=BRANCH)
    save_model(SeamlessModel(SeamlessNetwork(settings), NAMES), folder / "source_model")
    ingest = {"source": {"url": str(folder / "streets" / "images")}, "min_width": 32, "block_size": 1}
    labelling = {
        "ingest": ingest,
        "project": {"patch_size": 64, "layout": {"kind": "cubemap", "fov_degrees": 100}},
        "scenes": {"stage": "label", "kind": "scenes", "fields": ["semantics", "instances"]},
        "fuse": {"height": 2 * HEIGHT},
    }
    adaptation = {
        "ingest": ingest,
        "labels": {"stage": "from", "config": str(folder / "labelling.yaml"), "of": "fuse"},
        "adapt": {
            "model": str(folder / "source_model"),
            "labels": "labels",
            "height": HEIGHT,
            "training": {"steps": 2, "batch_size": 1, "crop": [64, 64], "learning_rate": 1e-4, "rates": {}},
        },
    }
    for name, stages in (("labelling", labelling), ("adaptation", adaptation)):
        data = {"name": name, "root": str(folder / "store"), "stages": stages, "execution": {"device": "cpu"}}
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(data, sort_keys=False))
    return folder / "labelling.yaml", folder / "adaptation.yaml"


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Config]:
    """The folder of two streets that a teacher labelled, and the adaptation that learned from the labels."""
    folder = tmp_path_factory.mktemp("labels")
    labelling, adaptation = write_configs(folder)
    make_owed(read(labelling))
    config = read(adaptation)
    assert make_owed(config) == {
        "adapt.predict": 2,
        "adapt.scores": 2,
        "adapt.thresholds": 1,
        "adapt.omni": 2,
        "adapt.pool": 1,
        "adapt": 1,
    }
    return folder, config


def truth_of(folder: Path, item: str) -> tuple[np.ndarray, np.ndarray]:
    with np.load(folder / "streets" / "truth" / f"{item}.npz") as arrays:
        return arrays["semantics"], arrays["instances"]


def test_labels_are_said_in_the_models_classes(learned: tuple[Path, Config]) -> None:
    folder, config = learned
    lookup = np.array([NAMES.index(name) if name in NAMES else IGNORED for name in CLASSES])
    for index in range(2):
        url, receipt = block_of(config, "adapt.predict", index)
        stored = BlockReader(url, receipt.files).item(0)
        semantics, instances = truth_of(folder, receipt.items[0].item)
        expected = lookup[semantics]
        assert len(set(np.unique(expected)) & set(range(len(NAMES)))) >= 4
        assert (stored["semantics"] == expected).mean() > 0.93, "but for the borders of a coarse picture"
        assert (stored["confidence"][stored["semantics"] == IGNORED] == 0).all()
        big = [one for one in np.unique(instances[np.isin(expected, THINGS)]) if one and (instances == one).sum() > 60]
        for branch in BRANCHES:
            found = unpack_objects(branch, stored, 2 * HEIGHT)
            assert set(found.classes) <= set(THINGS)
            for one in big:
                mask = instances == one
                overlaps = [(mask & other).sum() / (mask | other).sum() for other in found.masks]
                best = int(np.argmax(overlaps))
                assert overlaps[best] > 0.5
                assert found.classes[best] == expected[mask][0]


def test_they_are_learned_with_thresholds_like_predictions(learned: tuple[Path, Config]) -> None:
    _, config = learned
    tables = block_of(config, "adapt.thresholds")[1].items[0].figures
    assert "bus" not in tables["semantic"], "a class of the model that the teacher does not know"
    assert {"road", "sky"} <= set(tables["semantic"])
    url, receipt = block_of(config, "adapt.omni")
    labels = BlockReader(url, receipt.files).item(0)
    assert 0.3 < (labels["semantics"] != IGNORED).mean() < 1.0
    identity = block_of(config, "adapt")[1].made["identity"]
    predicted = block_of(config, "adapt.predict")[1]
    assert identity["upstream"]["adapt.predict"] == predicted.fingerprint
    assert predicted.made["identity"]["upstream"]["fuse"] in {one.name for one in Path(config.root, "stages", "fuse").iterdir()}


def test_other_labels_make_other_models(learned: tuple[Path, Config], tmp_path: Path) -> None:
    folder, config = learned
    changed = tmp_path / "changed.yaml"
    changed.write_text((folder / "labelling.yaml").read_text().replace("height: 128", "height: 64"))
    other = read(folder / "adaptation.yaml", labels__config=str(changed))
    plan = make_plan(other)
    parts = [f"adapt.{part}" for part in ("predict", "scores", "thresholds", "omni", "pool")]
    assert [row.stage for row in plan.stages if row.to_run] == [*parts, "adapt"]
    with pytest.raises(ConfigError, match=rf"of other pipelines owe: labels 2; make them with `panolabel run {changed}`$"):
        refuse_missing(other, plan)
    refuse_missing(config, make_plan(config))
    with pytest.raises(
        ConfigError, match=r"adapt.predict: needs panoramas, which no stage before it gives over the panoramas of"
    ):
        read(folder / "adaptation.yaml", root=str(tmp_path / "elsewhere"))
