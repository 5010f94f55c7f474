"""One end point, asked over HTTP: what is sent, what comes back, and what an error says of what to do."""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Mapping
from typing import Any

import cv2
import httpx

from models.captioners.base import CaptionAnswer, Captioner, CaptionRequest, Finish, LabelledView, Usage
from storage.credentials import HIDDEN
from tasks.caption.endpoint.settings import Endpoint, parse_endpoint
from tasks.caption.endpoint.waiting import gate_of, wait_before

PATH = "/chat/completions"
PASSING = frozenset({408, 425, 429, *range(500, 600)})
TOO_MANY = 429
BLOCKED = ("content_filter", "content_policy_violation", "moderation_blocked")
"""Codes of errors by which end points say that they will not look at a picture."""
ADVICE = {
    400: "the end point does not understand the request; look at `model` and `extra`",
    401: "the key is not accepted; set the variable that `key_variable` names, on workers too",
    403: "the key may not use this model; ask whoever gave it",
    404: "there is no such model or path; look at `url` (it ends in /v1) and `model`",
}


class EndpointError(OSError):
    """An end point cannot be used; the message says what to do."""


def load(settings: Mapping[str, Any], _device: str) -> Captioner:
    """The captioner of the kind ``openai``."""
    return Client(parse_endpoint(settings))


class _Passing(Exception):
    """It may go better in a while, which the end point may say."""

    def __init__(self, what: str, after: str | None = None) -> None:
        super().__init__(what)
        self.after = after


class Client:
    """A captioner. Threads share it."""

    def __init__(self, settings: Endpoint) -> None:
        self._settings = settings
        self._key = os.environ.get(settings.key_variable, "") if settings.key_variable else ""
        if settings.key_variable and not self._key:
            raise EndpointError(
                f"caption: {settings.key_variable} is not set; put the key of {settings.url} there, on workers too"
            )
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        # No proxy for what is on this machine: pictures would leave it.
        self._http = httpx.Client(headers=headers, timeout=settings.timeout, trust_env=not settings.is_local)
        self._gate = gate_of(settings.url, settings.concurrency)
        self._forms = [FORMS["json_schema"], FORMS["json_object"], FORMS["none"]]

    @property
    def model(self) -> str:
        """As the end point calls it."""
        return self._settings.model

    def __call__(self, request: CaptionRequest) -> CaptionAnswer:
        """What the model says. EndpointError if it cannot be asked, or still fails after all tries."""
        for attempt in range(1, self._settings.tries + 1):
            try:
                with self._gate.inside():
                    return self._answer(self._send(request), attempt)
            except _Passing as error:
                last = error
            if attempt < self._settings.tries:
                time.sleep(wait_before(attempt, last.after, self._settings.longest_wait))
        raise EndpointError(f"caption: {self._settings.url} failed {attempt} times, at last with {last}; run again later")

    def _send(self, request: CaptionRequest) -> httpx.Response:
        """The response to a request that was understood, in the strictest form that the end point knows."""
        while True:
            form = self._forms[0]
            try:
                response = self._http.post(self._settings.url.rstrip("/") + PATH, json=self._body(request, form))
            except httpx.TransportError as error:
                raise _Passing(f"{type(error).__name__}: {self._masked(str(error))}") from None
            if response.status_code == 400 and len(self._forms) > 1 and "response_format" in response.text.lower():
                self._forms = [one for one in self._forms if one is not form] or self._forms
                continue
            return response

    def _body(self, request: CaptionRequest, form: Mapping[str, Any]) -> dict[str, Any]:
        own = self._settings
        shown = [part for view in request.views for part in _parts(view, own.jpeg_quality)]
        messages: list[dict[str, Any]] = [{"role": "user", "content": [*shown, {"type": "text", "text": request.prompt}]}]
        if request.repair:
            fault = f"That is of no use: {request.repair.fault}. Give the whole JSON object again, without that fault."
            messages += [{"role": "assistant", "content": request.repair.said}, {"role": "user", "content": fault}]
        body: dict[str, Any] = {"model": own.model, "messages": messages, "seed": request.seed}
        body |= {"temperature": own.temperature} if own.temperature is not None else {}
        body |= {"max_tokens": own.max_tokens} if own.max_tokens is not None else {}
        if form is FORMS["json_schema"]:
            form = {"type": "json_schema", "json_schema": {"name": "captions", "strict": True, "schema": dict(request.schema)}}
        return body | ({"response_format": form} if form else {}) | own.extra

    def _answer(self, response: httpx.Response, attempt: int) -> CaptionAnswer:
        if response.status_code in PASSING:
            if response.status_code == TOO_MANY:
                self._gate.refused()
            raise _Passing(f"status {response.status_code}", response.headers.get("Retry-After"))
        if response.status_code == 400 and any(code in response.text for code in BLOCKED):
            return CaptionAnswer("blocked by the end point", "refused", tries=attempt)
        if response.status_code != 200:
            said = self._masked(" ".join(response.text.split()))[:300]
            advice = ADVICE.get(response.status_code, "look at `url`")
            raise EndpointError(f"caption: {self._settings.url} answered {response.status_code}: {advice}. It said: {said}")
        self._gate.passed()
        try:
            return _parsed(response.json(), attempt)
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise _Passing("a body that is no chat completion") from error

    def _masked(self, text: str) -> str:
        return text.replace(self._key, HIDDEN) if self._key else text


FORMS: dict[str, dict[str, Any]] = {"json_schema": {"type": "json_schema"}, "json_object": {"type": "json_object"}, "none": {}}
"""How an end point is told to answer with JSON, the strictest first."""


def _parts(view: LabelledView, quality: int) -> list[dict[str, Any]]:
    """The label of a view, and its picture."""
    bgr = cv2.cvtColor(view.pixels, cv2.COLOR_RGB2BGR)
    encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
    url = f"data:image/jpeg;base64,{base64.b64encode(encoded).decode()}"
    return [{"type": "text", "text": view.label}, {"type": "image_url", "image_url": {"url": url}}]


def _parsed(body: Any, attempt: int) -> CaptionAnswer:
    choice, usage = body["choices"][0], body.get("usage") or {}
    message = choice["message"]
    refusal, ended = message.get("refusal"), choice.get("finish_reason")
    finish: Finish = "refused" if refusal or ended == "content_filter" else "length" if ended == "length" else "stop"
    said = refusal or message.get("content") or ""
    if not isinstance(said, str):  # in parts
        said = "".join(str(part.get("text", "")) for part in said)
    tokens = Usage(int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0))
    return CaptionAnswer(said, finish, tokens, attempt)
