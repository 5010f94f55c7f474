"""Losses against NumPy in float64, and what they must not do: leak from holes, depend on units, or accept nonsense."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from geometry.directions import erp_area_weights
from geometry.resampling.padding import pad_sphere
from models.student import StudentOutput
from models.student.labels import Label
from models.student.losses import LossSettings, student_losses

H, W = 16, 32
RNG = np.random.default_rng
CHANNELS = {"depth": 1, "normals": 3, "semantics": 4, "image_gradient": 2, "edge_distance": 1, "points": 3}


def field(channels, seed, count=2):
    """Smooth random maps (B, C, H, W) float32 with a jump in them."""
    noise = RNG(seed).normal(size=(count, channels, H, W))
    smooth = ndimage.gaussian_filter(noise, (0, 0, 2, 2), mode="wrap") * 6
    smooth[..., 5:10] += 1.5
    return torch.from_numpy(smooth.astype(np.float32))


def unit(vectors):
    return torch.nn.functional.normalize(vectors, dim=1)


def batch(seed=0, holes=0.2):
    """A random output and random labels for it."""
    output = StudentOutput(
        depth=field(1, seed).abs() + 0.5, normals=unit(field(3, seed + 1)), semantics=field(4, seed + 2),
        preliminary={
            name: torch.nn.functional.avg_pool2d(field(c, seed + 3), 4)
            for name, c in CHANNELS.items()
        },
    )  # fmt: skip
    values = {
        "depth": field(1, seed + 10).abs() * 4 + 0.5, "normals": unit(field(3, seed + 11)), "image_gradient": field(2, seed + 13),
        "edge_distance": field(1, seed + 14).abs(), "points": field(3, seed + 15),
        "semantics": torch.from_numpy(RNG(seed).integers(0, 3, (2, 1, H, W))),
    }  # fmt: skip
    valid = torch.from_numpy(RNG(seed + 20).random((2, 1, H, W)) > holes)
    confidence = torch.from_numpy(RNG(seed + 21).random((2, 1, H, W)).astype(np.float32))
    return output, {name: Label(value, valid, confidence) for name, value in values.items()}


def np64(tensor):
    return tensor.detach().numpy().astype(np.float64)


def mean(error, weight):
    return (error * weight).sum() / weight.sum()


def weights(label):
    return np64(label.valid) * np64(label.confidence) * erp_area_weights(H)[:, None]


def oracle_band(value, valid):
    """Sobel, holes and dilation by SciPy, item by item on the padded sphere."""
    band = np.zeros((len(value), 1, H, W), bool)
    for index in range(len(value)):
        padded = pad_sphere(value[index].transpose(1, 2, 0), 4)
        slopes = [ndimage.sobel(padded, axis, mode="nearest") for axis in (0, 1)]
        steep = np.sqrt((np.square(slopes)).sum((0, 3))) > 0.55
        whole = ndimage.binary_erosion(pad_sphere(valid[index, 0], 4), np.ones((3, 3)))
        found = ndimage.binary_dilation((steep & whole)[1:-1, 1:-1], np.ones((7, 7)))  # from 3 pixels around
        band[index, 0] = found[3:-3, 3:-3]
    return band


def oracle_frequency(said, true, valid):
    said, true = np.fft.fft2(said * valid, norm="ortho"), np.fft.fft2(true * valid, norm="ortho")
    radius = np.hypot(np.fft.fftfreq(H, 1 / H)[:, None], np.fft.fftfreq(W, 1 / W))
    said, true = said[..., radius >= H / 8], true[..., radius >= H / 8]
    floor = 0.01 * np.sqrt((np.abs(true) ** 2).mean(-1, keepdims=True))
    phase = np.abs((np.angle(said) - np.angle(true) + np.pi) % (2 * np.pi) - np.pi)
    return (np.abs(np.abs(said) - np.abs(true)) / 5 + phase * (np.minimum(np.abs(said), np.abs(true)) > floor)).mean()


@pytest.mark.parametrize(
    ("task", "distance", "edge", "frequency"),
    [("depth", "chord", 0.5, 5e-3), ("normals", "chord", 0.1, 1e-4), ("normals", "l1", 0.1, 1e-4)],
)
@pytest.mark.parametrize("cut", [None, 5.0])
def test_depth_and_normals_are_the_closed_forms(task, distance, edge, frequency, cut):
    output, labels = batch()
    label = labels[task]
    valid, weight = np64(label.valid).astype(bool), weights(label)
    said, true = np64(output[task]), np.minimum(np64(label.value), cut or np.inf)
    error = np.abs(said - true).mean(1, keepdims=True)
    if (task, distance) == ("normals", "chord"):
        error = 2 * np.sin(np.arccos(np.clip((said * true).sum(1, keepdims=True), -1, 1)) / 2)
    band = oracle_band(np.where(valid, true, 0), valid)
    assert 0.1 < band.mean() < 0.95
    terms = student_losses(output, {task: label}, LossSettings(normals_distance=distance, depth_max=cut))
    expected = {
        task: mean(error, weight),
        f"{task}.edge": edge * (0.95 * mean(error, weight * band) + 0.05 * mean(error, weight * ~band)),
        f"{task}.frequency": frequency * oracle_frequency(said, true, valid),
    }
    for name, value in expected.items():
        assert float(terms[name]) == pytest.approx(value, rel=1e-4), name


def test_semantics_are_the_closed_forms():
    output, labels = batch()
    label = labels["semantics"]
    logits, weight, classes = np64(output.semantics), weights(label), label.value[:, 0].numpy()
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    y = np.eye(4)[classes].transpose(0, 3, 1, 2)
    terms = student_losses(output, {"semantics": label})
    assert float(terms["semantics"]) == pytest.approx(mean(-np.log((p * y).sum(1, keepdims=True)), weight), rel=1e-5)
    there = [c for c in range(4) if (classes[label.valid[:, 0].numpy()] == c).any()]
    assert there == [0, 1, 2]
    dice = [2 * (weight[:, 0] * p[:, c] * y[:, c]).sum() / (weight[:, 0] * (p[:, c] + y[:, c])).sum() for c in there]
    assert float(terms["semantics.dice"]) == pytest.approx(1 - np.mean(dice), rel=1e-5)


@pytest.mark.parametrize(
    ("task", "share"), [("depth", 0.3), ("image_gradient", 0.003), ("edge_distance", 0.003), ("points", 0.003)]
)
@pytest.mark.parametrize("cut", [None, 1.5])
def test_preliminary_answers_are_compared_at_the_size_of_the_labels(task, share, cut):
    output, labels = batch()
    coarse = np.stack([_enlarged(one) for one in np64(output.preliminary[task])])
    true = np64(labels[task].value)
    if task in ("depth", "points") and cut is not None:
        true = true * np.minimum(1, cut / np.linalg.norm(true, axis=1, keepdims=True))
    true = {"image_gradient": true * np.pi / 180, "edge_distance": np.log1p(np.degrees(np.abs(true)))}.get(task, true)
    expected = share * mean(np.abs(coarse - true).mean(1, keepdims=True), weights(labels[task]))
    terms = student_losses(output, {task: labels[task]}, LossSettings(depth_max=cut))
    assert float(terms[f"preliminary.{task}"]) == pytest.approx(expected, rel=1e-5)


def _enlarged(maps):
    """Bilinear enlargement of (C, H / 4, W / 4) on the sphere by SciPy."""
    rows, columns = (np.arange(H) + 0.5) / 4 + 0.5, (np.arange(W) + 0.5) / 4 + 0.5
    grid = np.meshgrid(rows, columns, indexing="ij")
    return np.stack([ndimage.map_coordinates(pad_sphere(one, 1), grid, order=1) for one in maps])


def test_units_drop_out():
    """Millimetres instead of metres change nothing; another unit of angle only scales what is said of vectors."""
    output, labels = batch()
    here = student_losses(output, labels, LossSettings(depth_max=10))
    scaled = StudentOutput(
        depth=output.depth * 1000, normals=output.normals, semantics=output.semantics,
        preliminary={n: p * (1000 if n in ("depth", "points") else 1) for n, p in output.preliminary.items()},
    )  # fmt: skip
    lengths = {
        n: Label(one.value * (1000 if n in ("depth", "points") else 1), one.valid, one.confidence) for n, one in labels.items()
    }
    there = student_losses(scaled, lengths, LossSettings(depth_unit=1000, depth_max=10_000))
    for name, term in here.items():
        torch.testing.assert_close(there[name], term, rtol=1e-4, atol=1e-6)
    finer = student_losses(output, labels, LossSettings(normals_unit_degrees=10))
    assert float(finer["normals"] / here["normals"]) == pytest.approx(1 / (2 * np.sin(np.radians(5))), rel=1e-5)


def test_an_error_of_the_unit_is_a_loss_of_one():
    depth = torch.full((1, 1, H, W), 2.0)
    valid = torch.ones(1, 1, H, W, dtype=torch.bool)
    terms = student_losses(StudentOutput(depth=depth + 0.25), {"depth": Label(depth, valid)}, LossSettings(depth_unit=0.25))
    assert float(terms["depth"]) == pytest.approx(1)
    up = torch.tensor([0.0, -1.0, 0.0]).view(1, 3, 1, 1).expand(1, 3, H, W)
    tilted = torch.tensor([0.0, -np.cos(0.2), np.sin(0.2)]).float().view(1, 3, 1, 1).expand(1, 3, H, W)
    settings = LossSettings(normals_unit_degrees=np.degrees(0.2))
    assert float(
        student_losses(StudentOutput(normals=tilted), {"normals": Label(up, valid)}, settings)["normals"]
    ) == pytest.approx(1)


def normals_loss(angle, distance, turn=0.0):
    """Loss of normals that are ``angle`` away from a label along x, all turned about the vertical axis."""
    valid = torch.ones(1, 1, H, W, dtype=torch.bool)
    said, true = (
        torch.tensor([np.cos(a), 0.0, np.sin(a)]).float().view(1, 3, 1, 1).expand(1, 3, H, W) for a in (angle + turn, turn)
    )
    return float(
        student_losses(StudentOutput(normals=said), {"normals": Label(true, valid)}, LossSettings(normals_distance=distance))[
            "normals"
        ]
    )


def test_the_chord_grows_with_the_angle_whichever_way_the_room_is_turned_and_l1_does_not():
    angles = np.linspace(0, np.pi, 19)
    chords = [normals_loss(angle, "chord") for angle in angles]
    assert (np.diff(chords) > 0).all()
    np.testing.assert_allclose([normals_loss(angle, "chord", turn=0.6) for angle in angles], chords, atol=1e-5)
    # L1: turning away from the opposite direction makes it worse, so a student that is there stays there.
    assert normals_loss(np.pi - 0.2, "l1") > normals_loss(np.pi, "l1")
    assert abs(normals_loss(0.3, "l1", turn=0.6) / normals_loss(0.3, "l1") - 1) > 0.1


def test_pixels_count_by_their_area_on_the_sphere():
    valid = torch.ones(1, 1, H, W, dtype=torch.bool)
    true = torch.full((1, 1, H, W), 2.0)
    said = true.clone()
    said[..., : H // 4, :] += 1
    said[..., -H // 4 :, :] += 1  # beyond 45 degrees of latitude
    terms = student_losses(StudentOutput(depth=said), {"depth": Label(true, valid)})
    assert float(terms["depth"]) == pytest.approx(1 - np.sqrt(0.5), rel=1e-5)
    counted = student_losses(StudentOutput(depth=said), {"depth": Label(true, valid)}, LossSettings(area_weighted=False))
    assert float(counted["depth"]) == pytest.approx(1 / 2)


def gradients(output):
    return [tensor.grad for tensor in _leaves(output)]


def _leaves(output):
    return [output.depth, output.normals, output.semantics, *output.preliminary.values()]


def test_holes_neither_count_nor_receive_gradients_whatever_lies_in_them():
    output, labels = batch()
    for leaf in _leaves(output):
        leaf.requires_grad_()
    here = student_losses(output, labels)
    sum(here.values()).backward()
    hole = ~labels["depth"].valid
    assert hole.any()
    assert not output.depth.grad[hole].any()
    assert not output.normals.grad[hole.expand(-1, 3, -1, -1)].any()
    rubbish = {}
    for name, label in labels.items():
        filler = torch.tensor(255) if name == "semantics" else torch.tensor(float("nan"))
        confidence = torch.where(label.valid, label.confidence, float("nan"))
        rubbish[name] = Label(torch.where(label.valid, label.value, filler), label.valid, confidence)
    for name, term in student_losses(output, rubbish).items():
        assert torch.equal(term, here[name]), name


def test_empty_masks_give_zero_loss_and_zero_gradients():
    output, labels = batch(holes=2)
    for leaf in _leaves(output):
        leaf.requires_grad_()
    terms = student_losses(output, labels)
    assert len(terms) == 3 + 3 + 2 + 6
    assert all(float(term) == 0 for term in terms.values())
    sum(terms.values()).backward()
    assert all(gradient is not None and not gradient.any() for gradient in gradients(output))


def test_only_ratios_of_confidence_count_and_zero_is_as_good_as_a_hole():
    output, labels = batch()
    here = student_losses(output, labels)
    doubled = {n: Label(one.value, one.valid, one.confidence * 2) for n, one in labels.items()}
    for name, term in student_losses(output, doubled).items():
        torch.testing.assert_close(term, here[name])
    left = torch.zeros(1, 1, H, W, dtype=torch.bool)
    left[..., : W // 2] = True
    label = labels["semantics"]
    masked = student_losses(output, {"semantics": Label(label.value, label.valid & left, label.confidence)})
    weighted = student_losses(output, {"semantics": Label(label.value, label.valid, label.confidence * left)})
    torch.testing.assert_close(masked["semantics"], weighted["semantics"])


@pytest.mark.parametrize("columns", [1, 7, 16])
def test_no_term_knows_where_the_seam_is(columns):
    output, labels = batch()
    output.preliminary = {}
    rolled = StudentOutput(**{name: output[name].roll(columns, -1) for name in ("depth", "normals", "semantics")})
    moved = {n: Label(*(part.roll(columns, -1) for part in (one.value, one.valid, one.confidence))) for n, one in labels.items()}
    here = student_losses(output, labels)
    for name, term in student_losses(rolled, moved).items():
        torch.testing.assert_close(term, here[name], rtol=1e-4, atol=1e-6)


def spoilt(task, filler):
    """A batch whose second item has three bad pixels."""
    output, labels = batch()
    value = labels[task].value.clone()
    where = torch.nonzero(labels[task].valid[1, 0])[:3]
    value[1, :, where[:, 0], where[:, 1]] = filler
    return output, {task: Label(value, labels[task].valid)}


@pytest.mark.parametrize(
    ("task", "filler", "words"),
    [
        ("depth", float("nan"), "are NaN or infinite"),
        ("depth", float("inf"), "are NaN or infinite"),
        ("depth", 0.0, "are not positive"),
        ("normals", float("nan"), "are NaN or infinite"),
        ("normals", 0.0, "are not unit vectors"),
        ("semantics", 255, "are not a class from 0 to 3"),
        ("points", float("nan"), "are NaN or infinite"),
        ("edge_distance", -0.1, "are negative"),
    ],
)
def test_bad_labels_are_refused_with_their_place(task, filler, words):
    output, labels = spoilt(task, filler)
    count = int(labels[task].valid[1].sum())
    with pytest.raises(ValueError, match=f"{task} labels of item 1 of the batch: 3 of {count} valid pixels {words}"):
        student_losses(output, labels)


def test_bad_confidences_and_shapes_are_refused():
    output, labels = batch()
    depth = labels["depth"]
    with pytest.raises(ValueError, match="confidence that is negative or not finite"):
        student_losses(output, {"depth": Label(depth.value, depth.valid, depth.confidence - 0.5)})
    with pytest.raises(ValueError, match=r"depth: labels must be \(B, 1, 16, 32\), got \(2, 1, 8, 32\)"):
        student_losses(output, {"depth": Label(depth.value[..., :8, :], depth.valid)})
    with pytest.raises(ValueError, match=r"normals: labels must be \(B, 3, 16, 32\)"):
        student_losses(output, {"normals": Label(depth.value, depth.valid)})
    with pytest.raises(ValueError, match="valid must be bool"):
        student_losses(output, {"depth": Label(depth.value, depth.valid.float())})
    with pytest.raises(ValueError, match="must be integers"):
        student_losses(output, {"semantics": depth})


def test_gradients_are_those_of_finite_differences():
    output, labels = batch()
    output.depth.requires_grad_()
    sum(student_losses(output, {"depth": labels["depth"]}).values()).backward()
    direction = torch.from_numpy(RNG(3).normal(size=output.depth.shape).astype(np.float32))
    step = 1e-3

    def along(distance):
        moved = StudentOutput(depth=(output.depth + distance * direction).detach(), preliminary=output.preliminary)
        return float(sum(student_losses(moved, {"depth": labels["depth"]}).values()))

    slope = (along(step) - along(-step)) / (2 * step)
    assert float((output.depth.grad * direction).sum()) == pytest.approx(slope, rel=2e-2)
