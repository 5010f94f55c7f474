"""What an end point will be asked and paid, before it is; and what would be sent to whom."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from storage.items import Block
from tasks.caption.settings import Caption
from tasks.stage.kind import Stage
from tasks.stage.late import is_foreseen


def outlook(stage: Stage, owed: Sequence[Block]) -> list[str]:
    """How many clips an end point will be asked for, and what that takes; nothing where none is."""
    settings: Caption = stage.settings
    own, clips = settings.endpoint, sum(not item.reason for block in owed for item in block.items)
    if own is None or not clips:
        return []
    tokens_in, tokens_out = (clips * tokens for tokens in settings.tokens)
    about = "about " * any(map(is_foreseen, owed))
    cost = f", {own.cost(tokens_in, tokens_out):.2f} at the prices given" if own.price_in or own.price_out else ""
    most = f" (max_cost {own.max_cost:g})" if own.max_cost is not None else ""
    tokens = f"about {round(tokens_in):,} + {round(tokens_out):,} tokens"
    return [f"{stage.key}: {about}{clips} clips, {tokens}{cost}{most}; answers that are kept cost nothing"]


def look(stage: Stage) -> Iterator[tuple[str, str, str]]:
    """For ``doctor``: what would be sent, and whether the key is there."""
    settings: Caption = stage.settings
    own = settings.endpoint
    if own is None:
        return
    where = "on this machine" if own.is_local else "outside this machine"
    views = f"{settings.count_views} pictures of {settings.views.width}x{settings.views.height} pixels of each clip"
    yield "ok", f"{stage.key}: sends {views} to {own.url}, {where}", ""
    if own.key_variable and not os.environ.get(own.key_variable):
        yield "failure", f"{stage.key}: {own.key_variable} is not set", "put the key there, on workers too"
