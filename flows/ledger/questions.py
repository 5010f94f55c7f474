"""Questions that are asked often, with their parameters: each is one query of the audit tables."""

from __future__ import annotations

import re
from dataclasses import dataclass

PARAMETER = re.compile(r"\$([a-z_]+)")


@dataclass(frozen=True)
class Question:
    """A question in words and as SQL; ``$name`` in the SQL is a parameter."""

    words: str
    sql: str

    @property
    def parameters(self) -> list[str]:
        """Names of the parameters, in the order in which they come."""
        return list(dict.fromkeys(PARAMETER.findall(self.sql)))


LABELS_OF_WEIGHTS = """
WITH RECURSIVE made_with(stage, fingerprint) AS (
    SELECT stage, fingerprint FROM weights WHERE name = $weights OR starts_with(digest, $weights)
    UNION
    SELECT upstream.stage, upstream.fingerprint FROM upstream
    JOIN made_with ON from_stage = made_with.stage AND from_fingerprint = made_with.fingerprint
)
SELECT item, stage, fingerprint, block, run, digest FROM labels SEMI JOIN made_with USING (stage, fingerprint)
ORDER BY item, stage, fingerprint, block
"""

COST_OF_RUN = """
SELECT stage, count(*) AS blocks, sum(items)::BIGINT AS items, sum(quarantined)::BIGINT AS quarantined,
    round(sum(seconds), 3) AS seconds, sum(bytes)::BIGINT AS bytes, string_agg(DISTINCT device, ', ') AS devices
FROM blocks WHERE run = $run GROUP BY stage ORDER BY min(started)
"""

_VERSION = """
    SELECT own.key, item, state, reason, digest FROM items JOIN (
        SELECT key, stage, fingerprint, unnest(blocks) AS block FROM stages JOIN runs USING (run) WHERE run = {0}
        UNION
        SELECT (SELECT min(key) FROM stages WHERE fingerprint = {0}), stage, fingerprint, block
        FROM blocks WHERE fingerprint = {0}
    ) own USING (stage, fingerprint, block)
    WHERE stage IN (SELECT stage FROM blocks WHERE gives = 'labels')
    QUALIFY row_number() OVER (PARTITION BY own.key, item ORDER BY started DESC) = 1
"""

CHANGED_ITEMS = f"""
WITH earlier AS ({_VERSION.format("$before")}), later AS ({_VERSION.format("$after")})
SELECT coalesce(earlier.item, later.item) AS item, coalesce(earlier.key, later.key) AS stage,
    CASE WHEN earlier.item IS NULL THEN 'added' WHEN later.item IS NULL THEN 'removed'
         WHEN earlier.state <> later.state THEN earlier.state || ' -> ' || later.state
         WHEN earlier.digest IS NULL OR later.digest IS NULL THEN 'unknown: a receipt without digests of items'
         ELSE 'changed' END AS change,
    earlier.digest AS before, later.digest AS after
FROM earlier FULL JOIN later ON earlier.item = later.item AND earlier.key IS NOT DISTINCT FROM later.key
WHERE earlier.item IS NULL OR later.item IS NULL OR earlier.state <> later.state
    OR (later.state = 'done' AND (earlier.digest IS NULL OR later.digest IS NULL OR earlier.digest <> later.digest))
ORDER BY item, stage
"""

FAILED_ITEMS = """
SELECT item, stage, fingerprint, run, reason FROM items
WHERE state = 'quarantined' AND NOT starts_with(reason, 'at ') ORDER BY item, stage, fingerprint
"""

FORGOTTEN_ITEMS = """
SELECT item, event, reason, "user", time, removed FROM forgotten ORDER BY item, source, time
"""

STUDENTS_OF_LABELS = """
SELECT fingerprint, block, run, from_stage AS labels, from_fingerprint FROM upstream JOIN blocks USING (stage, fingerprint)
WHERE gives = 'model' AND starts_with(from_fingerprint, $labels) ORDER BY started, fingerprint
"""

CODE = """
SELECT stage, version, package, code, count(DISTINCT fingerprint) AS fingerprints, count(*) AS blocks,
    string_agg(DISTINCT run, ', ' ORDER BY run) AS runs
FROM blocks GROUP BY stage, version, package, code ORDER BY stage, version, code
"""

ADAPTED_MODELS = """
SELECT json_extract_string(figures, '$.model') AS model,
    coalesce(weights.digest, json_extract_string(models, '$.model')) AS source_model,
    json_extract(figures, '$.panoramas')::BIGINT AS panoramas, json_extract(figures, '$.steps')::BIGINT AS steps,
    items.run, items.fingerprint, items.block
FROM items JOIN blocks USING (stage, fingerprint, block) LEFT JOIN weights USING (stage, fingerprint)
WHERE gives = 'model' AND items.state = 'done' AND starts_with(source_model, $weights) ORDER BY items.started
"""

FACTS_OF_PANORAMAS = """
SELECT item, stage, fingerprint, json_extract(figures, '$.log_scale')::DOUBLE AS log_scale,
    json_extract(figures, '$.scale_spread')::DOUBLE AS scale_spread, json_extract(figures, '$.p_outdoor')::DOUBLE AS p_outdoor,
    json_extract(figures, '$.sky_share')::DOUBLE AS sky_share
FROM items WHERE state = 'done' AND coalesce(log_scale, scale_spread, p_outdoor, sky_share) IS NOT NULL
ORDER BY scale_spread DESC NULLS LAST, item, stage, fingerprint
"""

QUESTIONS = {
    "labels-of-weights": Question("Which labels did these weights (a name, or the start of a digest) make?", LABELS_OF_WEIGHTS),
    "students-of-labels": Question("Which students learnt from these labels (the start of a fingerprint)?", STUDENTS_OF_LABELS),
    "cost-of-run": Question("What did this run cost?", COST_OF_RUN),
    "changed-items": Question("Which items differ between two label versions (runs, or fingerprints of labels)?", CHANGED_ITEMS),
    "failed-items": Question("Which items failed, where, and why?", FAILED_ITEMS),
    "forgotten-items": Question("Which items were forgotten or remembered, by whom, when, and why?", FORGOTTEN_ITEMS),
    "code": Question("Which code made what?", CODE),
    "facts-of-panoramas": Question(
        "What did teachers that see a whole panorama say of it: scale, its spread, outdoors, sky?", FACTS_OF_PANORAMAS
    ),
    "adapted-models": Question("Which models learnt on from this model (start of its digest)?", ADAPTED_MODELS),
}
