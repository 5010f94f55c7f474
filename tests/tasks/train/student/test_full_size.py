"""The configuration of full size fits any finished labels, and builds the network that it describes."""

from tasks.train.student.settings import load_training
from tasks.train.train import Training, check_training
from tests.support.label_store import write_label_store

CONFIG = "configs/trainings/mtpano_gpu.yaml"


def test_the_configuration_of_full_size_is_accepted_for_given_labels(tmp_path):
    store = write_label_store(tmp_path / "labels", count=10, splits=("train", "train", "train", "train", "val"))
    config = load_training(CONFIG, {"root": str(tmp_path / "students"), "model.pretrained": None})
    assert check_training(Training(config, [store])) == 8
    assert (config.training.steps, config.training.learning_rate, config.training.precision) == (180_000, 2e-5, "bf16")
