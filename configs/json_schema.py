"""The JSON schema of a config: what editors need to complete and check its YAML."""

from __future__ import annotations

import json
from typing import Any

from configs.pipeline import Config

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """The schema of :class:`Config`, whose descriptions are the texts that stand under its fields."""
    return {"$schema": DIALECT, **Config.model_json_schema(), "title": "panolabel config"}


def schema_text() -> str:
    """The schema as JSON text, which ends in a newline; the same on every call."""
    return json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n"
