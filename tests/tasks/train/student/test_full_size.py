"""The configuration of full size fits any finished labels, and builds the network that it describes."""

from configs.reading import read_settings
from tasks.train.labels.stores import label_stores
from tasks.train.train import read_data, refuse_misfit
from tests.support.label_store import write_label_store
from tests.support.trainings import training

CONFIG = "configs/mtpano.yaml"


def test_the_configuration_of_full_size_is_accepted_for_given_labels(tmp_path):
    store = write_label_store(tmp_path / "labels", count=10, splits=("train", "train", "train", "train", "val"))
    said = read_settings(CONFIG)["stages"]["train"]
    own = {key: value for key, value in said.items() if key not in ("labels", "licences")}
    job = training(tmp_path, store, **{"settings": {}, "size": "full", **own, "pretrained": None})
    refuse_misfit(job.stage, [])
    assert len(read_data(job.settings, label_stores(job))[0]) == 8
    found = job.settings.training()
    assert (found.steps, found.learning_rate, found.precision) == (180_000, 2e-5, "bf16")
