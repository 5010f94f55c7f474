"""Measures a trained seamless network on labelled images, such as BlendPASS, by thresholds that were chosen on other images.

python -m tasks.seamless_measure /tmp/source_model blendpass /data/BlendPASS --split val
"""

from __future__ import annotations

import argparse
import json

from metrics.seamless.quality import Figures
from models.seamless.fusion import FusionRule
from models.seamless.saved import CONFIG, WEIGHTS, model_of_files
from storage.urls import join, read_bytes
from tasks.devices import resolve_device
from tasks.seamless_data import SEAMLESS_SETS
from tasks.seamless_data.reading import open_seamless_data
from tasks.seamless_data.scoring import measure
from tasks.seamless_data.vocabularies import THINGS


def measure_saved(folder: str, kind: str, root: str, split: str | None, device: str = "auto") -> Figures:
    """Figures of the network that a source training saved in a folder, by the rule in its ``figures.json``.

    Raises
    ------
    FileNotFoundError
        The folder lacks the network, or the figures: the training had no validation data.
    SourceError, BadItem, ValueError
        As :func:`open_seamless_data` and :func:`measure`.
    """
    chosen = json.loads(read_bytes(join(folder, "figures.json")))
    rule = FusionRule(THINGS, chosen["instance_score"], chosen["amodal_score"], chosen["least_stuff"])
    model = model_of_files({name: read_bytes(join(folder, name)) for name in (CONFIG, WEIGHTS)})
    model.network.to(resolve_device(device))
    return measure(model, open_seamless_data(kind, root, split), rule)


def main() -> None:
    """The command line; see the top of this file."""
    parser = argparse.ArgumentParser(description="Measure a seamless network on labelled images.")
    parser.add_argument("model", help="folder that a source training wrote")
    parser.add_argument("kind", choices=sorted(kind for kind, about in SEAMLESS_SETS.items() if about.amodal))
    parser.add_argument("root")
    parser.add_argument("--split")
    given = parser.parse_args()
    print(json.dumps(measure_saved(given.model, given.kind, given.root, given.split), indent=1))


if __name__ == "__main__":
    main()
