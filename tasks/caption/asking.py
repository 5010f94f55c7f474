"""Captions by a model: it is shown views of a clip, its answer is checked, and if that is of no use it is asked once more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from models.captioners.base import CaptionAnswer, Captioner, CaptionRequest, Repair
from storage.items import Item
from tasks.caption.checked import Faulty, schema_of, texts_of
from tasks.caption.clips import seconds_into
from tasks.caption.kinds import load_captioner
from tasks.caption.looking import views_of
from tasks.caption.settings import Caption
from tasks.ingest.stored import PIXELS
from tasks.stage.devices import resolve_device
from tasks.stage.job import BadItem, Job, Output
from tasks.stage.upstream import Upstream
from tasks.video.captions import Captions


class Asking:
    """What becomes of a clip whose frames a block holds."""

    def __init__(self, job: Job, frames: Upstream) -> None:
        self._job, self._frames = job, frames
        self._settings: Caption = job.settings

    @cached_property
    def _captioner(self) -> Captioner:
        return load_captioner(self._settings.kind, self._settings.settings, resolve_device(self._job.execution.device))

    def __call__(self, clip: Item, frames: Sequence[Item]) -> Output:
        """Captions of a clip by some of its frames. BadItem if the model gives none that are of use."""
        request = self._request(clip, frames)
        answers = [self._ask(request)]
        try:
            texts = self._texts(answers[-1])
        except Faulty as fault:
            answers.append(self._ask(replace(request, repair=Repair(answers[-1].said, str(fault)))))
            try:
                texts = self._texts(answers[-1])
            except Faulty as error:
                raise BadItem(f"the model was asked twice, and its answer is of no use: {error}") from error
        captions = Captions(texts, self._settings.kind, self._captioner.model)
        return Output(figures=captions.as_figures() | _spent(answers))

    def _request(self, clip: Item, frames: Sequence[Item]) -> CaptionRequest:
        pixels = [self._frames.item(one.slot)[PIXELS] for one in frames]
        views = views_of(pixels, [seconds_into(clip, one) for one in frames], self._settings.views)
        lengths = self._settings.words.ranges
        return CaptionRequest(views, self._settings.told, lengths, schema_of(lengths), self._settings.seed)

    def _ask(self, request: CaptionRequest) -> CaptionAnswer:
        answer = self._captioner(request)
        if answer.finish == "refused":
            raise BadItem(f"the model refused: {' '.join(answer.said.split())[:200] or 'it gave no reason'}")
        return answer

    def _texts(self, answer: CaptionAnswer) -> dict[str, str]:
        return texts_of(answer, self._settings.words.ranges, self._settings.forbidden)


def _spent(answers: Sequence[CaptionAnswer]) -> dict[str, Any]:
    return {
        "answers": len(answers),
        "tries": sum(one.tries for one in answers),
        "tokens_in": sum(one.usage.tokens_in for one in answers),
        "tokens_out": sum(one.usage.tokens_out for one in answers),
    }
