"""Mask classification adapters against the network called directly, plain loops, and the post-processing of transformers."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from transformers.models.eomt.image_processing_pil_eomt import EomtImageProcessorPil

from models.teachers import load_teacher
from models.teachers.hub.panoptic import PanopticTeacher, _stuff, segments
from models.teachers.settings import TransformersSettings
from tests.models.oracles import assert_semantics, resized, softmax
from tests.models.teachers.test_vocabularies import CITYSCAPES
from tests.models.tiny import cameras, inputs, patches, save

SETTINGS = TransformersSettings(model="-")
WORDS = ["the", "task", "is", "panoptic", "semantic", "instance"]


def load(folder, **settings):
    return load_teacher("transformers", {"model": str(folder), **settings}, "cpu")


def save_tokenizer(folder):
    """A tokenizer with whole words only; ids 0 and 1 open and close the text."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: index for index, word in enumerate(["<pad>", "<unk>", *WORDS])}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>").save_pretrained(folder)
    return vocabulary


def tokens(vocabulary, word, length=12):
    ids = [vocabulary[one] for one in ["the", "task", "is", word]]
    return torch.tensor([ids + [0] * (length - len(ids))])


def expected_classes(said, side=64):
    """Shares of the classes (N, h, w, C), in float64."""
    queries = softmax(said.class_queries_logits.numpy())[..., :-1]
    masks = np.stack([resized(one.permute(1, 2, 0).numpy(), side, side) for one in said.masks_queries_logits])
    scores = np.einsum("nhwq,nqc->nhwc", 1 / (1 + np.exp(-masks.astype(np.float64))), queries)
    return scores / scores.sum(axis=-1, keepdims=True)


@pytest.mark.parametrize("name", ["mask2former", "oneformer", "eomt"])
def test_semantics_are_class_probabilities_spread_over_masks(name, tmp_path):
    network, rgb, more = save(name, tmp_path), patches(2), {}
    if name == "oneformer":
        more = {"task_inputs": tokens(save_tokenizer(tmp_path), "panoptic").expand(2, -1)}
    with torch.inference_mode():
        said = network(pixel_values=inputs(rgb, 64), **more)

    teacher = load(tmp_path)
    fields = teacher(rgb, cameras(2), {})

    assert teacher.fields == tuple(fields) == ("semantics", "sky", "instances")
    # These decoders cut their attention off at masks' edges, so that the last bit of an input can move a few pixels far.
    assert_semantics(fields["semantics"], expected_classes(said), share=0.9)
    assert np.isclose(fields["sky"].values, expected_classes(said)[..., 1], atol=1e-3).mean() >= 0.9
    instances = fields["instances"]
    assert (instances.values.dtype, instances.values.shape, instances.unit) == (np.uint16, (2, 64, 64), "segment")
    queries = said.class_queries_logits.shape[1]
    assert instances.tables["segment_class"].shape == instances.tables["segment_score"].shape == (2, queries)


def test_oneformer_is_told_its_task_in_words(tmp_path):
    network, rgb = save("oneformer", tmp_path), patches(1)
    vocabulary = save_tokenizer(tmp_path)
    with torch.inference_mode():
        said = {word: network(inputs(rgb, 64), task_inputs=tokens(vocabulary, word)) for word in ("panoptic", "semantic")}
    semantic = load(tmp_path, task="semantics")
    assert semantic.fields == ("semantics", "sky")
    assert_semantics(semantic(rgb, cameras(1), {})["semantics"], expected_classes(said["semantic"]), share=0.9)
    assert np.isclose(expected_classes(said["semantic"]), expected_classes(said["panoptic"]), atol=1e-3).mean() < 0.5


def test_oneformer_without_its_tokenizer_is_an_error(tmp_path):
    save("oneformer", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"lacks OneFormer's tokenizer\.json"):
        load(tmp_path)


def random_queries(seed, queries=12, classes=5, side=40):
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 4, (queries, classes + 1))
    coarse = rng.normal(0, 5, (queries, 5, 5))
    masks = np.stack([resized(one, side, side) for one in coarse])
    return torch.from_numpy(logits).float(), torch.from_numpy(masks)


@pytest.mark.parametrize("seed", range(6))
def test_segments_equal_those_of_transformers(seed):
    class_logits, masks = random_queries(seed)
    said = {"class_queries_logits": class_logits[None], "masks_queries_logits": masks[None], "patch_offsets": None}
    outputs = SimpleNamespace(**said)
    expected = EomtImageProcessorPil(size={"shortest_edge": 40, "longest_edge": 40}).post_process_panoptic_segmentation(
        outputs, target_sizes=[(40, 40)], threshold=0.5, mask_threshold=0.5, overlap_mask_area_threshold=0.6, stuff_classes=[]
    )[0]

    settings = SETTINGS.model_copy(update={"overlap_threshold": 0.6})
    ids, segment_class, segment_score = segments(class_logits.softmax(-1), masks, frozenset(), 0.5, settings)

    assert np.array_equal(ids.astype(int) - 1, expected["segmentation"].numpy())
    count = len(expected["segments_info"])
    assert segment_class[:count].tolist() == [one["label_id"] for one in expected["segments_info"]]
    np.testing.assert_allclose(segment_score[:count], [one["score"] for one in expected["segments_info"]], atol=1e-5)
    assert (segment_class[count:] == -1).all()
    assert not segment_score[count:].any()


def drawn():
    """Three queries on a 10 x 10 patch: a left half, a right half, and a small square within the left that is less sure."""
    masks = torch.full((4, 10, 10), -9.0)
    masks[0, :, :5], masks[1, :, 5:], masks[2, :3, :3], masks[3] = 9, 9, 9, 9
    classes = torch.tensor([[0.9, 0.05, 0.05], [0.1, 0.8, 0.1], [0.6, 0.3, 0.1], [0.05, 0.05, 0.9]])
    return classes, masks


def test_segments_of_a_drawn_patch():
    ids, segment_class, segment_score = segments(*drawn(), frozenset(), 0.5, SETTINGS)
    assert (ids[:, :5] == 1).all()
    assert (ids[:, 5:] == 2).all()
    assert segment_class.tolist() == [0, 1, -1, -1]  # The square lost its pixels, and the last query is "nothing".
    np.testing.assert_allclose(segment_score, [0.9, 0.8, 0, 0], rtol=1e-6)


def test_stuff_wins_its_pixels_but_is_no_instance():
    ids, segment_class, _ = segments(*drawn(), frozenset({0}), 0.5, SETTINGS)
    assert not ids[:, :5].any()
    assert (ids[:, 5:] == 1).all()
    assert segment_class.tolist() == [1, -1, -1, -1]


def test_no_confident_query_leaves_no_segment():
    ids, segment_class, segment_score = segments(*drawn(), frozenset(), 0.95, SETTINGS)
    assert not ids.any()
    assert (segment_class == -1).all()
    assert not segment_score.any()


def test_stuff_is_named_or_known_by_vocabulary():
    assert _stuff(SETTINGS, CITYSCAPES) == frozenset(range(11))
    assert _stuff(SETTINGS, tuple(f"c{index}" for index in range(133))) == frozenset()
    assert _stuff(SETTINGS, ("road", *(f"c{index}" for index in range(18)))) == frozenset()
    assert _stuff(SETTINGS, ("a", "b")) == frozenset()
    named = TransformersSettings(model="-", stuff_classes=("b",))
    assert _stuff(named, ("a", "b")) == frozenset({1})
    with pytest.raises(ValueError, match=r"stuff_classes: \['b'\] are not among"):
        _stuff(named, ("a", "c"))


def test_instances_alone_keep_the_class_names_for_their_table(tmp_path):
    save("eomt", tmp_path)
    teacher = load(tmp_path, task="instances", score_threshold=0.0, overlap_threshold=0.0)
    instances = teacher(patches(2), cameras(2), {})["instances"]
    assert (teacher.fields, len(teacher.classes)) == (("instances",), 5)
    assert instances.values.max() > 0
    for ids, classes in zip(instances.values, instances.tables["segment_class"]):
        assert ((classes >= 0).nonzero()[0] + 1).tolist() == sorted(set(ids.ravel()) - {0})


def test_an_unknown_architecture_and_a_task_beyond_it_are_errors(tmp_path):
    save("segformer", tmp_path)
    with pytest.raises(ValueError, match=r"task: SegformerForSemanticSegmentation cannot do 'depth', only semantics"):
        load(tmp_path, task="depth")
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "architectures": ["SegformerForImageClassification"]}))
    with pytest.raises(ValueError, match=r"SegformerForImageClassification.*gives no dense field"):
        load(tmp_path)


@pytest.mark.parametrize(("stuff", "things"), [({1}, ("a", "c")), (set(), None)])
def test_a_teacher_names_its_things_only_where_stuff_is_known(stuff, things):
    teacher = PanopticTeacher(None, ("a", "b", "c"), ("instances",), frozenset(stuff), 0.5, None)
    assert teacher.thing_classes == things
