"""The pool and the mixing: cases by hand, and properties that hold for any objects."""

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geometry.instances.boxes import cut
from models.adaptation.mixing import MIXINGS, Example, choose, mix
from models.adaptation.object_pool import PoolObject, cut_objects, surest

HEIGHT, WIDTH = 12, 32


def rectangle(top: int, left: int, height: int, width: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[top : top + height, np.arange(left, left + width) % WIDTH] = True
    return mask


def picture(seed: int) -> np.ndarray:
    """No pixel is 0, so that zeros can only have been put there."""
    return np.random.default_rng(seed).integers(1, 256, (HEIGHT, WIDTH, 3), np.uint8)


def pool_of(*masks: np.ndarray, seed: int = 1, chosen: list[bool] | None = None) -> list[PoolObject]:
    stack = np.array(masks)
    classes, scores = np.arange(11, 11 + len(masks)), np.linspace(0.9, 0.5, len(masks))
    return cut_objects("there", picture(seed), stack, classes, scores, np.array(chosen or [True] * len(masks)))


def example(*masks: np.ndarray, window: tuple[int, int, int, int] = (0, 0, HEIGHT, WIDTH), seed: int = 0) -> Example:
    """A crop whose instances are masks that do not overlap, and whole as well."""
    box = np.array(window)
    stack = np.array([cut(mask, box) for mask in masks], bool).reshape(-1, window[2], window[3])
    classes = np.full(len(stack), 17)
    semantics = np.where(stack.any(axis=0), 17, 2).astype(np.uint8) if len(stack) else np.full(box[2:], 2, np.uint8)
    image = cut(picture(seed), box)
    return Example((HEIGHT, WIDTH), box, image, semantics, stack, classes, stack, classes, np.zeros(semantics.shape, bool))


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_objects_are_cut_with_what_others_claim() -> None:
    one, other, third = rectangle(2, 2, 4, 6), rectangle(2, 6, 4, 8), rectangle(9, 30, 2, 6)
    pool = pool_of(one, other, third)
    assert [cut_one.box.tolist() for cut_one in pool] == [[2, 2, 4, 6], [2, 6, 4, 8], [9, 30, 2, 6]]
    assert [int(cut_one.overlap.sum()) for cut_one in pool] == [8, 8, 0]
    np.testing.assert_array_equal(pool[0].visible, np.tile(np.arange(6) < 4, (4, 1)))
    # The third crosses the seam and comes in one piece.
    np.testing.assert_array_equal(pool[2].pixels, np.concatenate([picture(1)[9:11, 30:], picture(1)[9:11, :4]], axis=1))


def test_more_than_half_overlapped_is_dropped() -> None:
    half, more = rectangle(0, 0, 4, 8), rectangle(6, 0, 4, 8)
    pool = pool_of(half, rectangle(0, 4, 4, 20), more, rectangle(6, 3, 4, 20))
    assert [one.label for one in pool] == [11, 12, 14], "exactly half stays"


def test_only_chosen_objects_enter_but_all_overlap() -> None:
    pool = pool_of(rectangle(0, 0, 4, 8), rectangle(0, 6, 4, 8), np.zeros((HEIGHT, WIDTH), bool), chosen=[True, False, True])
    assert [(one.label, int(one.overlap.sum())) for one in pool] == [(11, 8)]


def test_zero_mixing_by_hand() -> None:
    pool = pool_of(rectangle(2, 2, 4, 6), rectangle(2, 6, 4, 8))
    before = example(rectangle(2, 0, 4, 4), rectangle(8, 20, 3, 5))
    after = mix(before, pool[:1], generator())
    expected = picture(0)
    expected[2:6, 2:6] = picture(1)[2:6, 2:6]
    expected[2:6, 6:8] = 0
    np.testing.assert_array_equal(after.image, expected)
    whole = rectangle(2, 2, 4, 6)
    np.testing.assert_array_equal(after.semantics, np.where(whole, 11, before.semantics))
    np.testing.assert_array_equal(after.instances, [rectangle(2, 0, 4, 2), rectangle(8, 20, 3, 5), whole])
    np.testing.assert_array_equal(after.amodals, [rectangle(2, 0, 4, 4), rectangle(8, 20, 3, 5), whole])
    assert after.instance_classes.tolist() == after.amodal_classes.tolist() == [17, 17, 11]
    np.testing.assert_array_equal(after.covered, whole)
    np.testing.assert_array_equal(before.image, picture(0))


def test_the_other_mixings_by_hand() -> None:
    both = pool_of(rectangle(2, 2, 4, 6), rectangle(2, 6, 4, 8))
    before, whole, seen = example(), rectangle(2, 2, 4, 6), rectangle(2, 2, 4, 4)
    hidden = whole & ~seen
    amodal = mix(before, both[:1], generator(), MIXINGS["amodal"])
    np.testing.assert_array_equal(amodal.image[whole], picture(1)[whole])
    np.testing.assert_array_equal(amodal.amodals, [whole])
    instance = mix(before, both[:1], generator(), MIXINGS["instance"])
    np.testing.assert_array_equal(instance.image, np.where(seen[..., None], picture(1), picture(0)))
    np.testing.assert_array_equal(instance.amodals, [seen])
    noise = mix(before, both[:1], generator(3), MIXINGS["random"])
    np.testing.assert_array_equal(noise.image[seen], picture(1)[seen])
    assert not np.array_equal(noise.image[hidden], picture(1)[hidden])
    assert not np.array_equal(noise.image[hidden], picture(0)[hidden])
    np.testing.assert_array_equal(noise.amodals, [whole])
    complete = pool_of(rectangle(9, 30, 2, 6))
    assert choose([*both, *complete], before, generator(), MIXINGS["aomix"]) == complete


def test_what_is_covered_entirely_is_removed() -> None:
    before = example(rectangle(3, 3, 2, 2), rectangle(3, 6, 2, 4))
    after = mix(before, pool_of(rectangle(2, 2, 4, 6)), generator())
    assert after.instance_classes.tolist() == [17, 11]
    np.testing.assert_array_equal(after.amodals[0], rectangle(3, 6, 2, 4), "a whole mask stays whole while some of it shows")
    small, large = pool_of(rectangle(3, 3, 2, 2))[0], pool_of(rectangle(2, 2, 4, 6), seed=2)[0]
    large = replace(large, label=13)
    assert mix(example(), [small, large], generator()).amodal_classes.tolist() == [13]
    assert mix(example(), [large, small], generator()).amodal_classes.tolist() == [13, 11]


def test_later_objects_lie_in_front() -> None:
    back, front = pool_of(rectangle(2, 2, 4, 6), seed=1)[0], replace(pool_of(rectangle(2, 6, 4, 6), seed=2)[0], label=13)
    after = mix(example(), [back, front], generator())
    np.testing.assert_array_equal(after.instances, [rectangle(2, 2, 4, 4), rectangle(2, 6, 4, 6)])
    np.testing.assert_array_equal(after.amodals, [rectangle(2, 2, 4, 6), rectangle(2, 6, 4, 6)])
    np.testing.assert_array_equal(after.image[2:6, 6:12], picture(2)[2:6, 6:12])


@pytest.mark.parametrize("window", [(0, 24, HEIGHT, 16), (0, 20, HEIGHT, WIDTH), (3, 0, 6, 10), (0, 31, HEIGHT, 3)])
def test_crops_across_the_seam_take_objects_at_their_place(window: tuple[int, int, int, int]) -> None:
    objects = pool_of(rectangle(4, 28, 4, 9), rectangle(1, 1, 3, 3))
    whole = mix(example(), objects, generator())
    after = mix(example(window=window), objects, generator())
    box = np.array(window)
    np.testing.assert_array_equal(after.image, cut(whole.image, box))
    np.testing.assert_array_equal(after.semantics, cut(whole.semantics, box))
    np.testing.assert_array_equal(after.covered, cut(whole.covered, box))


def test_only_objects_that_show_in_the_crop_are_chosen() -> None:
    pool = pool_of(rectangle(4, 28, 4, 9), rectangle(1, 12, 3, 3))
    assert choose(pool, example(window=(0, 0, HEIGHT, 4)), generator()) == pool[:1]
    assert choose(pool, example(window=(0, 11, HEIGHT, 4)), generator()) == pool[1:]
    assert choose(pool, example(window=(9, 0, 3, WIDTH)), generator()) == []
    assert len(choose(pool, example(), generator(), count=1)) == 1
    assert choose([], example(), generator()) == []


def test_a_pool_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="bring all panoramas to one size"):
        choose(pool_of(rectangle(0, 0, 2, 2)), replace(example(), panorama=(24, 64)), generator())
    with pytest.raises(ValueError, match="the image is"):
        cut_objects("x", picture(0), np.zeros((1, 4, 4), bool), np.zeros(1, int), np.ones(1), np.ones(1, bool))


def test_the_surest_of_a_union_are_those_of_its_parts() -> None:
    pool = [replace(one, score=round(one.score, 1)) for seed in range(5) for one in pool_of(*rectangles(seed), seed=seed)]
    pool = [replace(one, label=11 + one.label % 2, item=str(index)) for index, one in enumerate(pool)]
    whole = surest(pool, 3)
    assert [sum(one.label == label for one in whole) for label in (11, 12)] == [3, 3]
    assert surest([*surest(pool[::2], 3), *surest(pool[1::2], 3)], 3) == whole
    assert min(one.score for one in whole) >= max(one.score for one in set(pool) - set(whole) if one.label == whole[-1].label)


def rectangles(seed: int) -> list[np.ndarray]:
    numbers = np.random.default_rng(seed)
    lows, highs = (0, 0, 1, 1), (HEIGHT - 1, WIDTH, 8, 14)
    return [rectangle(*(int(value) for value in numbers.integers(lows, highs))) for _ in range(6)]


@given(st.integers(0, 2**32 - 1), st.sampled_from(sorted(MIXINGS)), st.integers(1, WIDTH), st.integers(0, WIDTH - 1))
@settings(max_examples=80, deadline=None)
def test_properties_of_any_mixing(seed: int, name: str, width: int, left: int) -> None:
    mixing, pool = MIXINGS[name], pool_of(*rectangles(seed), seed=seed)
    disjoint = np.array(rectangles(seed + 1))
    disjoint &= ~(np.cumsum(disjoint, axis=0) - disjoint).astype(bool)
    before = example(
        *(mask for mask in disjoint if cut(mask, np.array((0, left, HEIGHT, width))).any()), window=(0, left, HEIGHT, width)
    )
    objects = choose(pool, before, generator(seed), mixing)
    after = mix(before, objects, generator(seed), mixing)
    assert (after.instances.sum(axis=0) <= 1).all(), "every pixel has at most one owner"
    assert after.instances.any(axis=(1, 2)).all()
    labelled = after.instances.any(axis=0)
    owner = after.instance_classes[after.instances.argmax(axis=0)] if len(after.instances) else np.zeros(labelled.shape)
    np.testing.assert_array_equal(after.semantics[labelled], owner[labelled])
    np.testing.assert_array_equal(after.semantics[~labelled], before.semantics[~labelled])
    assert (labelled == (before.instances.any(axis=0) | after.covered)).all()
    np.testing.assert_array_equal(after.image[~after.covered], before.image[~after.covered])
    # Both lists hold the same objects here: none that is covered, each visible part inside its whole.
    assert after.amodal_classes.tolist() == after.instance_classes.tolist()
    assert (after.instances <= after.amodals).all()
    again = mix(before, choose(pool, before, generator(seed), mixing), generator(seed), mixing)
    for field in fields(Example):
        assert np.array_equal(getattr(after, field.name), getattr(again, field.name)), "a seed gives the same bytes"
    assert mix(before, [], generator(seed), mixing) is before
    if name in ("zero", "amodal"):
        np.testing.assert_array_equal(after.image, painted(before, objects, pixels=picture(seed), zero=name == "zero"))


def painted(before: Example, objects: list[PoolObject], pixels: np.ndarray, zero: bool) -> np.ndarray:
    """The crop's image by painting whole panoramas, object after object, and cutting last."""
    image, rows = np.zeros((HEIGHT, WIDTH, 3), np.uint8), np.arange(HEIGHT)
    columns = np.arange(before.window[1], before.window[1] + before.window[3]) % WIDTH
    image[np.ix_(rows, columns)] = before.image
    for one in objects:
        place = np.ix_(rows[one.box[0] : one.box[0] + one.box[2]], np.arange(one.box[1], one.box[1] + one.box[3]) % WIDTH)
        whole, claimed = np.zeros((2, HEIGHT, WIDTH), bool)
        whole[place], claimed[place] = one.whole, one.overlap
        image[whole] = pixels[whole]
        if zero:
            image[claimed] = 0
    return image[:, columns]
