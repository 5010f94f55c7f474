"""Mask classification networks: queries with a class and a mask each (Mask2Former, MaskFormer, OneFormer, EoMT)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from geometry.cameras import Camera
from geometry.fields import Field
from models.teachers.base import Teacher
from models.teachers.hub.network import Network, in_batches
from models.teachers.postprocess import resize, semantic_fields, semantic_names, share
from models.teachers.settings import TransformersSettings
from models.teachers.vocabularies import stuff_of


@dataclass(frozen=True)
class PanopticTeacher:
    """Says semantics (and sky) and instances, or one of them.

    Instances are of things only: a segment of a class in ``stuff`` takes part in the contest for pixels, but is not kept.
    """

    network: Network
    classes: tuple[str, ...]
    fields: tuple[str, ...]
    stuff: frozenset[int]
    score_threshold: float
    task_tokens: torch.Tensor | None

    @property
    def thing_classes(self) -> tuple[str, ...] | None:
        """The classes that have instances; None where nothing says which are stuff."""
        return tuple(name for index, name in enumerate(self.classes) if index not in self.stuff) if self.stuff else None

    def __call__(self, patches: NDArray[np.uint8], cameras: Sequence[Camera], item: Mapping[str, object]) -> dict[str, Field]:
        return in_batches(self._say, patches, cameras, self.network.settings.batch_size)

    def _say(self, patches: NDArray[np.uint8], cameras: Sequence[Camera]) -> dict[str, Field]:
        tokens = {} if self.task_tokens is None else {"task_inputs": self.task_tokens.expand(len(patches), -1)}
        said, size = self.network(patches, **tokens), patches.shape[1:3]
        scored = said.class_queries_logits.shape[-1] - 1
        if scored != len(self.classes):
            raise ValueError(
                f"classes: {len(self.classes)} are named, but the network scores {scored}; name each of them, in order"
            )
        queries = list(zip(said.class_queries_logits.float().softmax(dim=-1), said.masks_queries_logits.float()))
        fields: dict[str, Field] = {}
        if "semantics" in self.fields:
            fields |= semantic_fields(_class_scores(queries, size), self.classes, size, probability=share)
        if "instances" in self.fields:
            fields["instances"] = self._instances(queries, size)
        return fields

    def _instances(self, queries: Sequence[tuple[torch.Tensor, torch.Tensor]], size: tuple[int, int]) -> Field:
        kept = [
            segments(classes, resize(masks[None], size)[0], self.stuff, self.score_threshold, self.network.settings)
            for classes, masks in queries
        ]
        ids, segment_class, segment_score = (np.stack(arrays) for arrays in zip(*kept))
        tables = {"segment_class": segment_class, "segment_score": segment_score}
        return Field("instances", ids, np.ones(ids.shape, dtype=bool), "segment", tables=tables)


def _class_scores(queries: Sequence[tuple[torch.Tensor, torch.Tensor]], size: tuple[int, int]) -> Iterator[torch.Tensor]:
    """Per patch (C, h, w): each query's class probabilities, spread over its mask; the last class is "nothing"."""
    for classes, masks in queries:
        yield torch.einsum("qc,qhw->chw", classes[:, :-1], resize(masks[None], size)[0].sigmoid())


def segments(
    classes: torch.Tensor, masks: torch.Tensor, stuff: frozenset[int], score_threshold: float, settings: TransformersSettings
) -> tuple[NDArray[np.uint16], NDArray[np.int32], NDArray[np.float32]]:
    """The instances of one patch.

    Parameters
    ----------
    classes : (Q, C + 1) tensor
        Class probabilities of the queries, the last for "nothing".
    masks : (Q, h, w) tensor of logits

    Returns
    -------
    ids : (h, w) uint16
        Segment of each pixel, 0 for none.
    segment_class : (Q,) int32, segment_score : (Q,) float32
        Entry k - 1 describes segment k; -1 and 0 behind the last.
    """
    scores, labels = classes.max(dim=-1)
    confident = torch.nonzero((labels != classes.shape[-1] - 1) & (scores > score_threshold))[:, 0]
    ids = torch.zeros(masks.shape[1:], dtype=torch.int32, device=masks.device)
    segment_class = np.full(len(classes), -1, dtype=np.int32)
    segment_score = np.zeros(len(classes), dtype=np.float32)
    if len(confident):
        own = masks[confident].sigmoid()
        winner = (scores[confident, None, None] * own).argmax(dim=0)
        inside = own >= settings.mask_threshold
        won = torch.bincount(winner.flatten(), minlength=len(confident)).tolist()
        area = inside.sum(dim=(1, 2)).tolist()
        count = 0
        for index, query in enumerate(confident.tolist()):
            mostly_won = area[index] > 0 and won[index] / area[index] > settings.overlap_threshold
            if not mostly_won or int(labels[query]) in stuff:
                continue
            mask = (winner == index) & inside[index]
            if mask.any():
                ids[mask] = count + 1
                segment_class[count], segment_score[count] = int(labels[query]), float(scores[query])
                count += 1
    return ids.cpu().numpy().astype(np.uint16), segment_class, segment_score


def build_panoptic(network: Network) -> Teacher:
    """The teacher of a network of class ``*ForUniversalSegmentation`` or of MaskFormer."""
    settings, classes = network.settings, network.classes
    semantics = semantic_names(classes) if settings.task != "instances" else ()
    instances = ("instances",) if settings.task != "semantics" else ()
    eomt = network.config.model_type.startswith("eomt")
    threshold = settings.score_threshold if settings.score_threshold is not None else 0.8 if eomt else 0.5
    tokens = _task_tokens(network) if network.config.model_type == "oneformer" else None
    return PanopticTeacher(network, classes, semantics + instances, _stuff(settings, classes), threshold, tokens)


def _stuff(settings: TransformersSettings, classes: tuple[str, ...]) -> frozenset[int]:
    if settings.stuff_classes is None:
        return stuff_of(classes) or frozenset()
    unknown = sorted(set(settings.stuff_classes) - set(classes))
    if unknown:
        raise ValueError(f"stuff_classes: {unknown} are not among the model's classes: {', '.join(classes)}")
    return frozenset(classes.index(name) for name in settings.stuff_classes)


def _task_tokens(network: Network) -> torch.Tensor:
    """OneFormer is told in words what to do; one panoptic pass gives both semantics and instances."""
    from transformers import AutoTokenizer

    # Without these files transformers makes up an empty vocabulary, and says nothing of it.
    if not any((network.folder / name).is_file() for name in ("tokenizer.json", "vocab.json")):
        raise FileNotFoundError(f"model: {network.folder} lacks OneFormer's tokenizer.json; copy it from the hub repository")
    word = {"semantics": "semantic", "instances": "instance"}.get(str(network.settings.task), "panoptic")
    tokenizer = AutoTokenizer.from_pretrained(network.folder, local_files_only=True)
    length = network.config.task_seq_len
    tokens = tokenizer([f"the task is {word}"], padding="max_length", max_length=length, truncation=True, return_tensors="pt")
    return (tokens["input_ids"] * tokens["attention_mask"]).to(network.device)
