"""Semantic adapters against the network called directly, and PIL."""

import numpy as np
import pytest
import torch

from models.teachers import load_teacher
from models.teachers.postprocess import semantic_fields
from tests.models.oracles import assert_semantics, resized, softmax
from tests.models.tiny import NAMES, cameras, inputs, patches, save


def load(folder, **settings):
    return load_teacher("transformers", {"model": str(folder), **settings}, "cpu")


@pytest.mark.parametrize("name", ["segformer", "upernet", "beit", "dpt_semantic"])
def test_the_best_classes_are_the_networks(name, tmp_path):
    network, rgb = save(name, tmp_path), patches(2)
    with torch.inference_mode():
        logits = network(inputs(rgb, 64)).logits.permute(0, 2, 3, 1).numpy()
    probabilities = softmax(np.stack([resized(one, 64, 64) for one in logits]))

    teacher = load(tmp_path)
    said = teacher(rgb, cameras(2), {})

    assert teacher.classes == tuple(NAMES.values())
    assert teacher.fields == tuple(said) == ("semantics", "sky")
    assert said["semantics"].values.shape == (2, 64, 64, 3)
    assert_semantics(said["semantics"], probabilities)
    assert len(np.unique(said["semantics"].values[..., 0])) > 1
    np.testing.assert_allclose(said["sky"].values, probabilities[..., 1], atol=1e-3)
    assert (said["sky"].unit, said["sky"].values.dtype) == ("probability", np.float32)


def test_classes_can_be_renamed_and_without_sky_there_is_no_sky(tmp_path):
    save("segformer", tmp_path)
    teacher = load(tmp_path, classes=["a", "b", "c", "d", "e"])
    assert (teacher.classes, teacher.fields) == (("a", "b", "c", "d", "e"), ("semantics",))
    assert set(teacher(patches(1), cameras(1), {})) == {"semantics"}
    with pytest.raises(ValueError, match=r"classes: names 2 classes, but the model has 5"):
        load(tmp_path, classes=["a", "b"])


def test_not_a_number_is_invalid():
    scores = torch.randn(1, 4, 6, 6, generator=torch.Generator().manual_seed(0))
    scores[0, 1, 2, 3] = float("nan")
    said = semantic_fields(scores, ("a", "b", "sky", "c"), (6, 6))
    for field in said.values():
        assert not field.valid[0, 2, 3]
        assert field.valid.sum() == 35
        assert np.isfinite(field.values).all()
    assert np.isfinite(said["semantics"].confidence).all()


def test_two_classes_give_two_runners():
    said = semantic_fields(torch.tensor([[[[1.0]], [[2.0]]]]), ("a", "b"), (1, 1))["semantics"]
    assert said.values.tolist() == [[[[1, 0]]]]
    np.testing.assert_allclose(said.confidence[0, 0, 0], [1 / (1 + np.exp(-1)), 1 / (1 + np.e)], rtol=1e-6)
