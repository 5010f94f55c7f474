"""The student's experiments: arms build what they name, intervals are those of closed forms, runs are kept, pages tell them."""

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.stats import ttest_1samp

from benchmarks.comparisons import NUDGE, Compared
from benchmarks.student.arms import ABLATION, DECISIVE, MARGIN, NUDGED, OFF, PEERS, SINGLE, TESTS, TRUTH, VIEWS, all_arms
from benchmarks.student.data import choose, config_of, make_rooms, open_store, read_truth, split_items
from benchmarks.student.figures import scene_figures
from benchmarks.student.floor import blind_answer, floor_figures
from benchmarks.student.intervals import FIGURES, Table, worse_by
from benchmarks.student.one_run import run_arm, train_settings
from benchmarks.student.recipe import Recipe, make_network, recipe_of
from benchmarks.student.report import REMARKS, page_of, read_runs, write_page
from benchmarks.student.report_decisive import verdict
from benchmarks.student.run import SEEDS, planned, run_file, write_run
from benchmarks.student.scale import GPU, scale_of, write_scale
from geometry.directions import erp_directions
from metrics.semantics import confusion, semantic_figures
from models.student.layers import ZeroConv2d
from scenes.vocabulary import CLASSES
from tasks.pipeline import plain_stages
from tests.models.student.support import images
from tests.support.label_store import write_label_store


def size(arm):
    return sum(parameter.numel() for parameter in make_network(arm, CLASSES, 0).parameters())


def test_arms_build_the_networks_that_they_name():
    for arm in (*ABLATION, *PEERS):
        model = make_network(arm, CLASSES, 0).eval()
        with torch.no_grad():
            output = model(images())
        assert {task for task in ("depth", "normals", "semantics") if output.get(task) is not None} == set(arm.tasks)
        for name, value in arm.settings.items():
            assert getattr(model.config, name) == value
    assert (
        len({arm.key for arm in all_arms()}) == len(all_arms()) == len([*DECISIVE, *ABLATION, *PEERS, *VIEWS]) - 8
    )  # the truth and its nudged twin, in all four, and two of the decisive test


@pytest.mark.slow
def test_the_nested_arms_differ_by_one_switch_and_twins_have_the_same_weights():
    nested = ABLATION[len(SINGLE) : -1]
    whole = make_network(TRUTH, CLASSES, 0).config
    settings = [{**{name: getattr(whole, name) for name in OFF}, **arm.settings} for arm in nested]
    for before, after in pairwise(settings):
        assert sum(before[name] != after[name] for name in OFF) == 1
    sizes = [size(arm) for arm in nested]
    assert len(set(sizes[:4])) == 1
    assert sizes[4] == sizes[5] > sizes[3]  # bridges add weights, truncation none
    assert all(abs(size(arm) / size(TRUTH) - 1) < 0.15 for arm in PEERS)


@pytest.mark.slow
def test_tensors_of_one_name_and_shape_begin_alike_in_all_arms_of_a_seed():
    weights = [make_network(arm, CLASSES, 3).state_dict() for arm in all_arms() if arm is not NUDGED]
    seen = {}
    for name, value in (entry for own in weights for entry in own.items()):
        assert torch.equal(value, seen.setdefault((name, value.shape), value)), name
    plain, whole = (make_network(arm, CLASSES, 3).state_dict() for arm in (ABLATION[len(SINGLE)], TRUTH))
    assert sum(name in whole and value.shape == whole[name].shape for name, value in plain.items()) > 0.9 * len(plain)
    name = "heads.depth.answer.weight"
    assert not torch.equal(weights[0][name], make_network(TRUTH, CLASSES, 4).state_dict()[name])


def test_weights_drawn_by_name_spread_as_those_of_the_model_itself():
    named = make_network(TRUTH, CLASSES, 3)
    torch.manual_seed(3)
    plain = type(named)(named.config).state_dict()
    for name, value in named.state_dict().items():
        if value.numel() > 500:
            assert float(value.std()) == pytest.approx(float(plain[name].std()), rel=0.15, abs=1e-12), name


def test_the_nudged_arm_is_the_truths_but_for_a_factor_of_its_first_weights():
    truth, nudged = (make_network(arm, CLASSES, 3) for arm in (TRUTH, NUDGED))
    for one, other in zip(truth.parameters(), nudged.parameters(), strict=True):
        assert torch.equal(one * NUDGE, other)
    assert not torch.equal(truth.heads["depth"].answer.weight, nudged.heads["depth"].answer.weight)


@pytest.mark.parametrize("arm", PEERS[2:], ids=lambda arm: arm.network)
def test_peers_see_the_seam_as_any_other_place(arm):
    model, pixels = make_network(arm, CLASSES, 0).eval().double(), images(dtype=torch.float64)
    with torch.no_grad():
        straight, rolled = model(pixels), model(pixels.roll(32, -1))
    assert torch.allclose(straight.depth.roll(32, -1), rolled.depth, atol=1e-6)
    assert torch.allclose(straight.semantics.roll(32, -1), rolled.semantics, atol=1e-6)
    assert straight.depth.std() > 0


def test_only_in_the_cross_task_network_does_a_task_reach_the_layers_of_another():
    reached = {}
    for arm in PEERS[2:]:
        model = make_network(arm, CLASSES, 0)
        for last in (module for module in model.modules() if isinstance(module, ZeroConv2d)):
            torch.nn.init.normal_(last.weight)
        model(images()).depth.sum().backward()
        own = model.decoders["normals"] if arm.network == "dpt" else model.first["normals"].feature
        reached[arm.network] = any(p.grad is not None and bool(p.grad.any()) for p in own.parameters())
    assert reached == {"dpt": False, "cross-task": True}


def table(errors):
    return Table({"AbsRel": errors}, None)


def test_a_share_is_told_by_paired_logarithms():
    errors, factors = np.random.default_rng(1).uniform(0.1, 0.9, (5, 12)), np.array([1.1, 1.3, 1.2, 1.0, 1.25])
    found = worse_by(table(factors[:, None] * errors), table(errors), "AbsRel")
    ends = np.exp(ttest_1samp(np.log(factors), 0).confidence_interval(0.95)) - 1
    assert (found.mean, found.low, found.high) == pytest.approx((np.exp(np.log(factors).mean()) - 1, *ends))
    margin = worse_by(table(factors[:, None] * errors), table(errors), "AbsRel", against=0.1)
    assert margin.chance == pytest.approx(ttest_1samp(np.log(factors), np.log(1.1)).pvalue)


def test_differences_are_paired():
    errors = np.random.default_rng(2).uniform(0.1, 0.9, (5, 12))
    found = worse_by(table(1.1 * errors), table(errors), "AbsRel")
    assert (found.mean, found.low, found.high) == pytest.approx((0.1, 0.1, 0.1))  # the spread of seeds is common to both


def test_what_has_no_seed_has_an_interval_over_scenes():
    errors = np.random.default_rng(3).uniform(0.1, 0.9, (1, 12))
    oracle = ttest_1samp(errors[0], 0).confidence_interval(0.95)
    assert table(errors).over_scenes("AbsRel") == pytest.approx((errors.mean(), oracle.low, oracle.high))


def entries(matrix):
    return [[int(t), int(s), float(matrix[t, s])] for t, s in np.argwhere(matrix > 0)]


def test_miou_is_that_of_the_metrics_and_less_of_it_is_worse():
    generator = np.random.default_rng(3)
    truth = generator.integers(0, 6, (2, 4, 500))
    said = {share: np.where(generator.random(truth.shape) < share, (truth + 1) % 6, truth) for share in (0.1, 0.4)}
    tables, pooled = {}, {}
    for share, classes in said.items():
        ones = np.ones(500)
        matrices = [[confusion(c, t, ones > 0, ones, len(CLASSES)) for c, t in zip(*rows)] for rows in zip(classes, truth)]
        runs = [{"scenes": {str(n): {"confusion": entries(one)} for n, one in enumerate(row)}} for row in matrices]
        tables[share] = Table.of(runs)
        pooled[share] = np.mean([semantic_figures(np.sum(row, axis=0))["miou"] for row in matrices])
        assert tables[share].means() == {"mIoU": pytest.approx(pooled[share])}
    each = tables[0.4].figure("mIoU") / tables[0.1].figure("mIoU")
    found = worse_by(tables[0.4], tables[0.1], "mIoU")
    assert found.mean == pytest.approx(1 - np.sqrt(each.prod()))
    assert 0 < found.low < found.mean < found.high


def test_verdicts_follow_the_margin():
    below, above = Compared(MARGIN - 0.05, 0, 0, 0), Compared(MARGIN + 0.05, 0, 0, 0)
    assert [verdict(one, 0.01, SEEDS) for one in (below, above, None)] == ["as good", "worse", "-"]
    assert [verdict(one, chance, SEEDS) for one in (below, above) for chance in (0.06, np.nan)] == ["open"] * 4
    assert verdict(below, 0.01, SEEDS - 1) == "-"


def test_the_few_and_the_rest_are_all_and_other_splits_stay(tmp_path):
    store = write_label_store(tmp_path / "labels", count=40, block_size=16, splits=("train", "train", "train", "val"))
    few, rest = ({item.item for item in split_items(choose(store, part, 1), "train")} for part in ("few", "rest"))
    assert (len(few), few & rest, few | rest) == (2, set(), {item.item for item in split_items(store, "train")})
    assert few == {item.item for item in split_items(choose(store, "few", 1), "train")}
    assert split_items(choose(store, "few", 1), "val") == split_items(store, "val")


@pytest.fixture(scope="module")
def rooms(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rooms")
    make_rooms(folder, 10, image=64)
    return folder


def test_what_is_true_has_no_error_and_what_is_left_out_does_not_count(rooms):
    item = split_items(open_store(rooms, "truth"), "test")[0].item
    truth = read_truth(rooms, item)
    exact = scene_figures(truth, truth, CLASSES)
    assert (exact["AbsRel"], exact["normals, degrees"]) == (0, pytest.approx(0, abs=1e-3))
    assert all(true == said for true, said, _ in exact["confusion"])
    wrong = {**truth, "depth": 1.5 * truth["depth"], "semantics": (truth["semantics"] + 1) % len(CLASSES)}
    found = scene_figures(wrong, truth, CLASSES)
    assert found["AbsRel"] == pytest.approx(0.5)
    assert not any(true == said for true, said, _ in found["confusion"])
    north = np.arange(64)[:, None] < np.full(128, 32)
    half = {**truth, "depth": np.where(north, truth["depth"], 99), "depth_valid": north}
    assert scene_figures(half, truth, CLASSES)["AbsRel"] == 0


def test_a_run_trains_and_measures_unseen_scenes_and_again_gives_the_same(rooms):
    recipe = replace(Recipe(), steps=2)
    arm = next(arm for arm in DECISIVE if arm.name == "5 % truth alone")
    one, again = (run_arm(arm, 0, rooms, recipe, 1e-3) for _ in range(2))
    assert one["scenes"] == again["scenes"]
    assert list(one["scenes"]) == ["room_60009"]
    assert one["scenes"]["room_60009"]["AbsRel"] > 0
    other = run_arm(arm, 1, rooms, recipe, 1e-3)
    assert other["scenes"] != one["scenes"]


def test_the_floor_is_right_where_all_rooms_are_alike(rooms):
    truth = read_truth(rooms, "room_60000")
    alike = {name: np.repeat(array[:, :1], 128, axis=1) for name, array in truth.items()}
    alike["normals"] = -erp_directions(64, 128)  # everything faces the camera
    found = scene_figures(blind_answer([alike] * 3), alike, CLASSES)
    assert found["AbsRel"] == pytest.approx(0)
    assert found["normals, degrees"] < 1e-3
    assert all(true == said for true, said, _ in found["confusion"])
    assert list(floor_figures(rooms)) == ["room_60009"]


def synthetic(arm, seed):
    generator = np.random.default_rng([seed, len(arm.name)])
    scenes = {}
    for number in range(6):
        scenes[f"room_{number}"] = {"AbsRel": generator.uniform(0.1, 0.2), "normals, degrees": generator.uniform(10, 20)}
        scenes[f"room_{number}"]["confusion"] = [[1, 1, 8.0], [2, 2, 4.0], [2, 1, float(generator.uniform(0, 4))]]
    cosines = {"1": {"backbone/depth~normals": 0.25}}
    made = {"parameters": 1000, "backbone": 500, "seconds": 1.0, "rate": 1e-3}
    return {"arm": {"network": arm.network}, "scenes": scenes, "cosines": cosines, **made}


def test_pages_tell_the_runs_that_are_there_and_keep_what_was_written_by_hand(tmp_path):
    for name in ("round_trip", "noise", "noise_aligned", "pseudo", "pseudo_aligned"):
        (tmp_path / "labels").mkdir(exist_ok=True)
        (tmp_path / "labels" / f"{name}.json").write_text(json.dumps(synthetic(TRUTH, 9)["scenes"]))
    (tmp_path / "labels" / "floor.json").write_text(json.dumps(synthetic(TRUTH, 8)["scenes"]))
    for arm, seed in planned(2, all_arms()):
        if arm.name != "+ bridges":
            write_run(run_file(tmp_path, Recipe(), arm, seed), synthetic(arm, seed))
    runs = read_runs(tmp_path, Recipe())
    assert read_runs(tmp_path, replace(Recipe(), steps=7)) == {}
    for test, arms in TESTS.items():
        path = tmp_path / f"student_{test}.md"
        write_page(path, page_of(test, runs, tmp_path, Recipe()))
        path.write_text(path.read_text().replace("Not yet written.", "Nothing, the figures are noise."))
        write_page(path, page_of(test, runs, tmp_path, Recipe()))
        text = path.read_text()
        there = 2 * len([arm for arm in arms if arm.name != "+ bridges"])
        assert f"**Not finished: {there} of {5 * len(arms)} runs.**" in text
        assert text.count(REMARKS) == text.count("the figures are noise") == 1
        assert all(figure in text for figure in FIGURES)
    decisive, ablation = ((tmp_path / f"student_{name}.md").read_text() for name in ("decisive", "ablation"))
    row = next(line for line in decisive.splitlines() if line.startswith("| ground truth |")).split(" | ")
    expected = Table.of([synthetic(TRUTH, 0), synthetic(TRUTH, 1)]).means()
    assert row[1] == "2"
    assert row[3].startswith(f"{expected['AbsRel']:.3f} [")
    assert "+ bridges | + modulation" not in ablation
    for text in (decisive, ablation):
        assert text.count("| *ground truth, another seed* |") == text.count("| *ground truth, first weights nudged* |")
        assert "| ±" in text
    assert "+0.25 (+0.25 to +0.25)" in ablation


def test_full_size_is_the_same_experiment_with_networks_of_one_size(tmp_path):
    write_scale(tmp_path, "gpu")
    assert scale_of(tmp_path) == GPU
    with pytest.raises(ValueError, match="of another scale"):
        write_scale(tmp_path, "cpu")
    sizes = {}
    for arm in PEERS:
        with torch.device("meta"):  # the weights' sizes, without memory for them
            model = make_network(arm, CLASSES, 0, replace(GPU, pretrained=None))
        own = sum(one.numel() for one in model.parameters()) - sum(one.numel() for one in model.backbone.parameters())
        sizes[arm.network] = own / 1e6
        assert GPU.height % model.backbone.multiple == 0
    assert sizes == dict.fromkeys(("student", "dpt", "cross-task"), pytest.approx(54.1, rel=0.02))
    stages = {
        name: plain_stages(config_of(tmp_path, name)) for name in ("noise_aligned", "pseudo")
    }  # their weights are of the hub
    fuse, pseudo = (next(one for one in found if one.key == "fuse") for found in stages.values())
    assert (fuse.settings.height, fuse.settings.depth) == (504, "align")
    assert [[teacher.key for teacher in one.stages("labels")] for one in (fuse, pseudo)] == [["noisy"], ["geometry", "classes"]]
    settings = train_settings(recipe_of(GPU), GPU.rates["student"], 0, GPU)
    assert (settings.steps, settings.frozen_steps, settings.precision, settings.device) == (20_000, 1000, "bf16", "cuda")
