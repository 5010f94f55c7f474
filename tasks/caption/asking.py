"""Captions by a model: it is shown views of a clip, its answer is checked, and if that is of no use it is asked once more."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, cached_property
from typing import Any

from models.captioners.base import CaptionAnswer, Captioner, CaptionRequest, Repair
from storage.items import Item
from tasks.caption.answers import Answers, budget_of, request_digest
from tasks.caption.checked import Faulty, schema_of, texts_of
from tasks.caption.clips import seconds_into
from tasks.caption.kinds import load_captioner
from tasks.caption.looking import VIEWS_VERSION, views_of
from tasks.caption.settings import Caption
from tasks.ingest.stored import PIXELS
from tasks.stage.devices import resolve_device
from tasks.stage.job import BadItem, Job, Output
from tasks.stage.upstream import Upstream
from tasks.video.captions import Captions

Asked = dict[str, Any]
"""All that an answer depends on, as JSON values."""
Chosen = Mapping[int, tuple[Item, Sequence[Item]]]
"""By slot the clips to caption, and the frames of each that are shown."""


class OfNoUse(BadItem):
    """What a model says of a clip is no caption."""


class Asking:
    """What becomes of clips whose frames a block holds. Threads share it."""

    def __init__(self, job: Job, frames: Upstream) -> None:
        self._frames, self._weights = frames, sorted(job.identity.weights.values())
        self._settings: Caption = job.settings
        self._device = job.execution.device
        self._answers, self._fresh = Answers(job.stage.root), set[str]()
        self._endpoint = self._settings.endpoint
        self._budget = self._endpoint and budget_of(job.stage.root, job.identity.fingerprint, self._endpoint.max_cost)
        self._again = bool(job.replaces)

    @cached_property
    def _captioner(self) -> Captioner:
        """The model, loaded when it is first asked: answers that are kept need none."""
        device = "" if self._endpoint else resolve_device(self._device)
        return load_captioner(self._settings.kind, self._settings.settings, device)

    @contextmanager
    def ahead(self, chosen: Chosen) -> Iterator[Callable[[int], Output]]:
        """Ask for many clips at once, as many as an end point may be; gives what becomes of that in a slot."""
        threads = ThreadPoolExecutor(self._endpoint.concurrency if self._endpoint else 1)
        asked: dict[int, Future[Output]] = {slot: threads.submit(self, *one) for slot, one in chosen.items()}
        try:
            yield lambda slot: asked[slot].result()
        finally:
            threads.shutdown(cancel_futures=True)

    def __call__(self, clip: Item, frames: Sequence[Item]) -> Output:
        """Captions of a clip by some of its frames. BadItem if the model gives none that are of use."""
        asked = self._asked(clip, frames)
        views = cache(lambda: self._request(clip, frames))  # cut once, and only if there is something to ask
        try:
            return self._captioned(asked, views)
        except OfNoUse:
            if not self._again or request_digest(asked) in self._fresh:
                raise
        self._answers.forget(request_digest(asked))  # somebody wants it tried again
        return self._captioned(asked, views)

    def _captioned(self, asked: Asked, request: Callable[[], CaptionRequest]) -> Output:
        answers = [self._ask(asked, request)]
        try:
            texts = self._texts(answers[0])
        except Faulty as fault:
            repair = Repair(answers[0].said, str(fault))
            more = asked | {"repair": [repair.said, repair.fault]}
            answers.append(self._ask(more, lambda: replace(request(), repair=repair)))
            try:
                texts = self._texts(answers[1])
            except Faulty as error:
                raise OfNoUse(f"the model was asked twice, and its answer is of no use: {error}") from error
        model = self._endpoint.model if self._endpoint else self._captioner.model
        own = Captions(texts, self._settings.kind, model).as_figures()
        return Output(figures={**own, "request": request_digest(asked), **self._spent(answers)})

    def _ask(self, asked: Asked, request: Callable[[], CaptionRequest]) -> CaptionAnswer:
        """The answer that is kept, else one that is asked for now, and kept. OfNoUse if the model gives none."""
        key = request_digest(asked)
        answer = self._answers.get(key)
        if answer is None:
            self._fresh.add(key)
            answer = self._answers.put(key, self._paid(request()))
        if answer.finish == "refused":
            raise OfNoUse(f"the model refused: {' '.join(answer.said.split())[:200] or 'it gave no reason'}")
        return answer

    def _paid(self, request: CaptionRequest) -> CaptionAnswer:
        if self._endpoint is None or self._budget is None:
            return self._captioner(request)
        with self._budget.hold(self._endpoint.cost(*self._settings.tokens)):
            answer = self._captioner(request)
            self._budget.pay(self._cost(answer))
        return answer

    def _asked(self, clip: Item, frames: Sequence[Item]) -> Asked:
        own, rows = self._settings, self._frames.receipt.items
        return {
            "captioner": [own.kind, own.settings_said, self._weights],
            "prompt": [own.told, own.seed, own.views.fingerprinted(), VIEWS_VERSION],
            "frames": [[seconds_into(clip, one), rows[one.slot].digest] for one in frames],
        }

    def _request(self, clip: Item, frames: Sequence[Item]) -> CaptionRequest:
        pixels = [self._frames.item(one.slot)[PIXELS] for one in frames]
        views = views_of(pixels, [seconds_into(clip, one) for one in frames], self._settings.views)
        lengths = self._settings.words.ranges
        return CaptionRequest(views, self._settings.told, lengths, schema_of(lengths), self._settings.seed)

    def _texts(self, answer: CaptionAnswer) -> dict[str, str]:
        return texts_of(answer, self._settings.words.ranges, self._settings.forbidden)

    def _cost(self, answer: CaptionAnswer) -> float:
        return self._endpoint.cost(answer.usage.tokens_in, answer.usage.tokens_out) if self._endpoint else 0.0

    def _spent(self, answers: Sequence[CaptionAnswer]) -> dict[str, Any]:
        told: dict[str, Any] = {
            "answers": len(answers),
            "tries": sum(one.tries for one in answers),
            "tokens_in": sum(one.usage.tokens_in for one in answers),
            "tokens_out": sum(one.usage.tokens_out for one in answers),
        }
        return told | ({"cost": round(sum(map(self._cost, answers)), 6)} if self._endpoint else {})
