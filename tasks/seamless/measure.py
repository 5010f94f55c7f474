"""Measures a seamless network or a student on labelled images, such as BlendPASS and DensePASS. Nothing is chosen on them.

python -m tasks.seamless.measure /tmp/source_model blendpass /data/BlendPASS --split val
python -m tasks.seamless.measure work/street/.../model blendpass /data/BlendPASS --split val --rule /tmp/source_model
python -m tasks.seamless.measure work/student/.../model densepass /data/DensePASS --split val
"""

from __future__ import annotations

import argparse
import json

from metrics.seamless.quality import Figures
from models.seamless.fusion import FusionRule
from models.seamless.semantic import SemanticNetwork
from storage.urls import exists, join, read_bytes
from tasks.predict.folder import ABOUT
from tasks.seamless import SEAMLESS_SETS
from tasks.seamless.class_scores import measure_classes
from tasks.seamless.model import model_digest, read_model
from tasks.seamless.reading import open_seamless_data
from tasks.seamless.scores import measure
from tasks.seamless.vocabularies import THINGS
from tasks.stage.devices import resolve_device

FIGURES = "figures.json"


def measure_saved(
    folder: str, kind: str, root: str, split: str | None = None, rule: str | None = None, device: str = "auto"
) -> Figures:
    """Figures of a saved network: all five where network and labels know objects and what is hidden of them, else mIoU alone.

    Parameters
    ----------
    folder : of the network, as a source training, an adaptation or ``panolabel train`` writes it
    kind, root, split : of the labelled images
    rule : folder whose ``figures.json``, in it or beside it, has the score thresholds; the network's own if none is named

    Raises
    ------
    FileNotFoundError
        There are no thresholds.
    BadModel, SourceError, BadItem, ValueError
        As :func:`read_model`, :func:`open_seamless_data`, :func:`measure` and :func:`measure_classes`.
    """
    model, data = read_model(folder, model_digest(folder)), open_seamless_data(kind, root, split)
    model.network.to(resolve_device(device))
    if isinstance(model.network, SemanticNetwork):
        return measure_classes(model, data, _height_in(folder))
    if not data.about.amodal:
        return measure_classes(model, data)
    return measure(model, data, _rule_in(rule or folder))


def _height_in(folder: str) -> int:
    about = json.loads(read_bytes(join(folder, ABOUT))) if exists(join(folder, ABOUT)) else {}
    if "height" not in about:
        raise ValueError(
            f'{join(folder, ABOUT)}: does not say the height at which the student sees panoramas; write {{"height": 512}}'
        )
    return int(about["height"])


def _rule_in(folder: str) -> FusionRule:
    beside = folder.rstrip("/").rpartition("/")[0] or "."  # of a finished training, beside the folder ``model``
    place = folder if exists(join(folder, FIGURES)) else beside
    try:
        chosen = json.loads(read_bytes(join(place, FIGURES)))
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{folder}: has no figures.json with score thresholds; name the folder of the source model with --rule"
        ) from error
    return FusionRule(THINGS, chosen["instance_score"], chosen["amodal_score"], chosen["least_stuff"])


def main() -> None:
    """The command line; see the top of this file."""
    parser = argparse.ArgumentParser(description="Measure a seamless network or a student on labelled images.")
    parser.add_argument("model", help="folder of the network")
    parser.add_argument("kind", choices=sorted(kind for kind, about in SEAMLESS_SETS.items() if about.decode is not None))
    parser.add_argument("root")
    parser.add_argument("--split")
    parser.add_argument("--rule", help="folder whose figures.json has the score thresholds; that of the network by default")
    given = parser.parse_args()
    print(json.dumps(measure_saved(given.model, given.kind, given.root, given.split, given.rule), indent=1))


if __name__ == "__main__":
    main()
