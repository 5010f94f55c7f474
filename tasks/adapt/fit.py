"""Whether a source model, panoramas and the settings of an adaptation fit together; told before anything runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from configs.settings import ConfigError
from models.seamless.saved import SeamlessModel
from models.seamless.semantic import SemanticNetwork
from storage.items import Block
from tasks.adapt.learner import rate_groups
from tasks.seamless.model import model_digest, read_model
from tasks.stage.kind import Stage
from tasks.stage.models import MODEL, outside_model


def refuse_misfit(stage: Stage, _blocks: Sequence[Block]) -> None:
    """Raise ConfigError if the model cannot learn from such crops, or has no part of a name that ``training.rates`` gives.

    Of a model that a stage before it makes, that is told once it is there.
    """
    outside = outside_model(stage.inputs)
    if outside is not None:
        check_model(stage, read_model(outside, stage.identity.weights[MODEL]), outside)


def look_at_model(stage: Stage) -> Iterator[tuple[str, str, str]]:
    """For ``doctor``: that the model can be read, and fits."""
    outside = outside_model(stage.inputs)
    if outside is not None:
        model = read_model(outside, model_digest(outside))
        check_model(stage, model, outside)
        yield "ok", f"{len(model.classes)} classes", ""


def refuse_pinholes(stage: Stage) -> None:
    """Raise ConfigError if it would adapt to labelled pinhole images instead of panoramas."""
    over = stage.origin
    if over.settings.source.kind == "cityscapes":
        raise ConfigError(
            f"stages.{over.key}.source.kind: 'cityscapes' is labelled pinhole data, which an adaptation must not see; "
            "give panoramas"
        )


def refuse_source_data(stage: Stage, blocks: Sequence[Block]) -> None:
    """Raise ConfigError if a model from outside learned from some of these panoramas, with labels."""
    outside = outside_model(stage.inputs)
    if outside is None:
        return
    known = {name[:16] for name in read_model(outside, stage.identity.weights[MODEL]).trained_on}
    if seen := [item.item for block in blocks for item in block.items if item.digest[:16] in known]:
        raise ConfigError(
            f"stages.{stage.origin.key}.source: the source model learned from {len(seen)} of these panoramas, with labels "
            f"({', '.join(seen[:3])}); an adaptation gets no source data: remove them"
        )


def check_model(stage: Stage, model: SeamlessModel, where: str) -> None:
    """Raise ConfigError as :func:`refuse_misfit` of a model that was read."""
    try:
        if isinstance(model.network, SemanticNetwork):
            model.network.check_crop(stage.settings.crop)
        rate_groups(model.network, stage.settings)
    except ValueError as error:
        raise ConfigError(f"stages.{stage.key}: model {where}: {error}") from error
