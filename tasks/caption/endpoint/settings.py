"""What the kind ``openai`` of a captioner may say: where it is, which model it runs, what it costs, and what it may cost."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator, model_validator

from configs.settings import APART, PlainSettings, Settings
from storage.credentials import MaskedUrl

VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
MILLION = 1_000_000


class Endpoint(Settings):
    """An end point. What says only where it is, how fast it is asked and what it costs enters no fingerprint."""

    url: Annotated[MaskedUrl, APART]
    """Its base, such as ``http://localhost:8000/v1`` or ``https://api.openai.com/v1``."""
    model: str = Field(min_length=1)
    """As the end point calls it; one with a date or a digest, since another model under an old name is not noticed."""
    allow_remote: Annotated[bool, APART] = False
    """Whether pictures may leave this machine: needed for all but ``localhost``."""
    key_variable: Annotated[str, APART] = ""
    """Name of the environment variable that holds the key; on workers too. Without it none is sent."""
    temperature: float | None = Field(None, ge=0, le=2)
    max_tokens: int | None = Field(None, ge=1)
    """Room for an answer, as ``max_tokens``; where a model wants another name, put that into ``extra``."""
    extra: PlainSettings = Field(default_factory=dict)
    """Further keys of the request, such as ``{max_completion_tokens: 2000}``."""
    jpeg_quality: int = Field(88, ge=1, le=100)
    concurrency: Annotated[int, Field(ge=1, le=256), APART] = 4
    """Requests at once of each process; halved when the end point has too many."""
    tries: Annotated[int, Field(ge=1, le=20), APART] = 7
    """Requests for one answer at most, while it fails in passing."""
    timeout: Annotated[float, Field(gt=0), APART] = 120.0
    """Seconds of silence after which a request is given up."""
    longest_wait: Annotated[float, Field(gt=0), APART] = 60.0
    """Seconds between two tries at most, whatever the end point asks for."""
    price_in: Annotated[float, Field(ge=0), APART] = 0.0
    price_out: Annotated[float, Field(ge=0), APART] = 0.0
    """Of a million tokens read, and written."""
    max_cost: Annotated[float | None, Field(gt=0), APART] = None
    """What the stage may cost in all; clips beyond are set aside, and made by ``run --retry`` once it is higher."""
    tokens_per_view: Annotated[int, Field(ge=0), APART] = 260
    """For the estimate of costs."""

    @model_validator(mode="before")
    @classmethod
    def _no_key_here(cls, values: Any) -> Any:
        if isinstance(values, dict) and (found := {"key", "api_key", "token"} & values.keys()):
            raise ValueError(
                f"{min(found)}: keys come from the environment alone; name the variable: key_variable: OPENAI_API_KEY"
            )
        return values

    @field_validator("key_variable")
    @classmethod
    def _is_a_name(cls, name: str) -> str:
        if name and not VARIABLE.fullmatch(name):
            raise ValueError("must be the name of an environment variable, such as OPENAI_API_KEY, and not the key itself")
        return name

    @model_validator(mode="after")
    def _stays_in_the_house(self) -> Endpoint:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
            raise ValueError("url: must be http(s)://HOST/PATH without any password or key")
        if not self.is_local and not self.allow_remote:
            raise ValueError(
                f"url: pictures would leave this machine for {parts.hostname}; if they may, write allow_remote: true"
            )
        if self.max_cost is not None and not (self.price_in or self.price_out):
            raise ValueError("max_cost: needs price_in and price_out, of a million tokens each")
        return self

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine."""
        host = urlsplit(self.url).hostname or ""
        try:
            return ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"

    def cost(self, tokens_in: float, tokens_out: float) -> float:
        """What so many tokens cost."""
        return (self.price_in * tokens_in + self.price_out * tokens_out) / MILLION


def parse_endpoint(values: Any) -> Endpoint:
    """Settings of an end point. ValueError names the offending key, and shows no value."""
    try:
        return Endpoint.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(["settings", *map(str, first["loc"])])
        raise ValueError(f"{where}: {first['msg'].removeprefix('Value error, ')}") from None
