"""A student of ``models/student`` in the place of a seamless network: it says classes alone, and both its branches are empty."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from models.seamless.branch import BranchDetections, BranchSettings
from models.seamless.network import IGNORED, Finding, SeamlessSettings, Target
from models.student import StudentModel


class SemanticNetwork(nn.Module):
    """The semantic head of a student behind the methods of :class:`models.seamless.network.SeamlessNetwork`.

    Images are (B, 3, H, 2 H) float, RGB from 0 to 1, whole panoramas: the student closes at the seam and the poles, so it takes
    no crops. There are no Things, so nothing is ever detected.
    """

    def __init__(self, student: StudentModel) -> None:
        super().__init__()
        if "semantics" not in student.config.main_tasks:
            raise ValueError(f"the student says {', '.join(student.config.main_tasks)} and no semantics, which alone are adapted")
        self.student = student
        # Room for one object, since no stored array may be empty.
        self.settings = SeamlessSettings(student.config.num_labels or 0, range(0), seam=0, branch=BranchSettings(limit=1))

    def for_crops(self, ignore_uncertain: bool = False) -> SemanticNetwork:
        """A copy to train, which has no boxes to ignore; see :meth:`models.seamless.network.SeamlessNetwork.for_crops`."""
        return copy.deepcopy(self)

    def check_crop(self, crop: tuple[int, int]) -> None:
        """ValueError if the network cannot learn from crops of this size (h, w)."""
        rows, columns = crop
        step = self.student.backbone.multiple
        if columns != 2 * rows or rows % step:
            raise ValueError(
                f"a student learns from whole panoramas with a multiple of {step} rows, not from crops of {rows} x {columns}; "
                "write the same rows for height and crop, such as height: 512, training.crop: [512, 1024]"
            )

    def class_logits(self, images: torch.Tensor) -> torch.Tensor:
        """(B, classes, H, W)."""
        logits = self.student(images).semantics
        assert logits is not None, "checked when it was made"
        return logits

    def losses(self, images: torch.Tensor, targets: Sequence[Target], generator: torch.Generator) -> dict[str, torch.Tensor]:
        """The scalar ``semantic``: cross-entropy of the pixels that are not ignored; 0, with a gradient of 0, without any."""
        logits = self.class_logits(images)
        goal = torch.stack([target.semantics for target in targets])
        known = bool((goal != IGNORED).any())
        return {"semantic": cross_entropy(logits, goal, ignore_index=IGNORED) if known else logits.sum() * 0}

    @torch.no_grad()
    def find(self, images: torch.Tensor) -> list[Finding]:
        """Classes of each image of a batch, and no objects."""
        confidence, semantics = self.class_logits(images).softmax(dim=1).max(dim=1)
        nothing = _nothing(images)
        return [Finding(*parts, nothing, nothing) for parts in zip(semantics, confidence)]


def _nothing(images: torch.Tensor) -> BranchDetections:
    def empty(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        return torch.zeros(0, *shape, dtype=dtype, device=images.device)

    masks = empty(images.shape[-2], images.shape[-1], dtype=torch.bool)
    return BranchDetections(masks, empty(dtype=torch.int64), empty(), empty(4))
