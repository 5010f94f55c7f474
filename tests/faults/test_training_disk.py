"""A disk that fills up while a student is trained: the last checkpoint stays good, and training goes on from it."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from transformers import AutoModel

from storage.receipts import read_receipt
from tasks.stage.attempts.telling import telling
from tasks.train.checkpoints import load_checkpoint
from tasks.train.train import train_block
from tests.faults.test_surroundings import small_disk  # noqa: F401  (a fixture)
from tests.support.label_store import write_label_store
from tests.support.trainings import training

Seen = Callable[[str], None]


def fill(file: Path) -> None:
    with file.open("wb", buffering=0) as filler:
        for piece in (1 << 20, 1 << 12):
            with suppress(OSError):
                while True:
                    filler.write(b"x" * piece)


@pytest.mark.usefixtures("small_disk")
@pytest.mark.fault("Disk full while a student is trained", expected="stops; the last checkpoint stays; goes on")
def test_a_full_disk_stops_training_with_its_last_checkpoint(tmp_path: Path, seen: Seen) -> None:
    labels = write_label_store(tmp_path / "labels", count=8, splits=("train", "train", "train", "val"))
    one = training(tmp_path, labels, root=str(tmp_path / "store"), tasks=("depth",), keep=1)
    whole = training(tmp_path, labels, root=str(tmp_path / "whole"), tasks=("depth",), keep=1)
    train_block(whole)
    filler = tmp_path / "store" / "filler"

    def fill_after_three_steps(line: str) -> None:
        if line.startswith("step 3 "):
            fill(filler)

    with telling(fill_after_three_steps), pytest.raises(OSError, match="No space left") as caught:
        train_block(one)
    assert read_receipt(one.url) is None
    kept = load_checkpoint(one.checkpoints)
    assert kept["progress"]["step"] == 2
    assert not [file for _, _, files in os.walk(one.checkpoints) for file in files if file.endswith(".partial")]
    filler.unlink()
    train_block(one)
    weights, expected = (AutoModel.from_pretrained(f"{each.url}/model").state_dict() for each in (one, whole))
    assert all(torch.equal(value, expected[name]) for name, value in weights.items())
    seen(f"'{str(caught.value)[:60]}'; step 2 of 4 kept; with room again it ends with the same weights")
