"""The adaptation as a list: every stage in order with its blocks, what its output depends on, and the function that makes one.

Fingerprints of the stages after ``thresholds`` hold the name of the block that stands for all panoramas: what was learned from a
data set holds for that data set, and another panorama makes it anew. Predictions and histograms stay.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from configs.adapt import AdaptConfig
from storage.manifest import Block
from storage.receipts import Receipt
from tasks.adapt import adapt, compare, omni, pool, predict, scores, thresholds
from tasks.pipeline import Stage, Step
from tasks.stage.block import Job
from tasks.stage.grain import of_all, of_block

MAKERS: dict[str, Callable[[Job], Receipt]] = {
    "predict": predict.predict_block,
    "scores": scores.scores_block,
    "thresholds": thresholds.thresholds_block,
    "omni": omni.omni_block,
    "pool": pool.pool_block,
    "adapt": adapt.adapt_block,
    "compare": compare.compare_block,
}
WITH_NETWORK = ("predict", "adapt", "compare")
"""Those that run a network, and so want a GPU."""


def steps(config: AdaptConfig, model: str, blocks: Sequence[Block]) -> list[Step]:
    """All stages over the blocks of a manifest; ``model`` is the digest of the source model. Without blocks, none has any."""
    names = [block.name for block in blocks]
    each, whole = tuple(of_block(name) for name in names), of_all(names)
    all_of = (whole,) if names else ()
    predicted = predict.identity(config, model)
    counted = scores.identity(predicted.fingerprint)
    chosen = thresholds.identity(config, counted.fingerprint)
    labelled = omni.identity(config, predicted.fingerprint, chosen.fingerprint, whole.name)
    pooled = pool.identity(config, predicted.fingerprint, counted.fingerprint)
    upstream = {one.stage: one.fingerprint for one in (predicted, labelled, pooled)}
    adapted = adapt.identity(config, model, upstream)
    measured = compare.identity(config, predicted.fingerprint, adapted.fingerprint, whole.name)
    every = tuple(blocks)
    found = [(predicted, every), (counted, each), (chosen, all_of), (labelled, every)]
    found += [(pooled, all_of)] * ("pool" in adapted.upstream)
    found += [(adapted, all_of)]
    found += [(measured, each)] * (config.source.truth is not None)
    return [Step(Stage(identity, MAKERS[identity.stage], network=identity.stage in WITH_NETWORK), own) for identity, own in found]
