"""A folder that can be no student's is refused without loading it."""

from pathlib import Path

import pytest

from configs.settings import ConfigError
from models.student import StudentModel
from models.student.configuration import StudentConfig, tiny_config
from tasks.predict.folder import STUDENT, refuse_no_student


def test_a_saved_student_is_one(tmp_path: Path) -> None:
    assert StudentConfig.model_type == STUDENT
    StudentModel(tiny_config()).save_pretrained(tmp_path)
    refuse_no_student(tmp_path)


@pytest.mark.parametrize(
    ("config", "said"), [("{}", "None"), ('{"model_type": "bert"}', "'bert'"), ("[1]", "None"), ("torn", "None")]
)
def test_another_config_is_none(tmp_path: Path, config: str, said: str) -> None:
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(ConfigError, match=rf"holds no student \(model_type in config.json is {said}, not"):
        refuse_no_student(tmp_path)


def test_torn_weights_are_told(tmp_path: Path) -> None:
    StudentModel(tiny_config()).save_pretrained(tmp_path)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    with pytest.raises(ConfigError, match=r"model\.safetensors is damaged"):
        refuse_no_student(tmp_path)
