"""The folder of a trained network: its weights, what programs are told of them, and the model card."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from models.teachers.weights import digest_folder
from storage.entries import Entries, write_file
from tasks.predict.folder import ABOUT
from tasks.stage.job import Job
from tasks.stage.models import MODEL
from tasks.train.student.model_card import Card, model_card


def stored_folder(folder: Path, job: Job, about: dict[str, Any], card: Card, backbone: str) -> tuple[str, Entries]:
    """Copy a local folder with weights and config into a job's block, beside ``panolabel.json`` and the model card.

    Returns
    -------
    The digest of the weights as whoever reads the folder finds it, and the entries of its files.
    """
    weights = digest_folder(folder)
    told = {**about, "weights": weights, "name": job.stage.key, "fingerprint": job.identity.fingerprint}
    (folder / ABOUT).write_text(json.dumps(told, indent=1, ensure_ascii=False), encoding="utf-8")
    (folder / "README.md").write_text(model_card(told, job.settings, card, backbone), encoding="utf-8")
    entries: Entries = {}
    for path in sorted(folder.iterdir()):
        entries |= write_file(job.url, f"{MODEL}/{path.name}", path.read_bytes())
    return weights, entries
