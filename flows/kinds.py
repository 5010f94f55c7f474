"""Which flow carries out which kind of config."""

from __future__ import annotations

from typing import Any

from prefect import Flow

from configs.schema import Config


def flow_of(config: Config) -> Flow[..., dict[str, Any]]:
    """The flow of a labelling or of an adaptation. Imported here, since that of adaptations takes networks along."""
    if config.labels:
        from flows.pipeline import pipeline

        return pipeline
    from flows.adapt import adapt

    return adapt
