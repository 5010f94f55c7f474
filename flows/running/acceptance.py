"""``plan --accept STAGE --because ...``: what was made before a change holds after it, on somebody's word."""

from __future__ import annotations

from datetime import UTC, datetime

from configs.pipeline import Config
from configs.settings import ConfigError
from flows.plan import Plan
from flows.stores.record import user_name
from storage.fingerprint import differences
from storage.records.accepted import write_accepted
from storage.records.runs import latest_run
from tasks.stage.kind import OVER


def accept(config: Config, plan: Plan, key: str, because: str) -> None:
    """Note that the change of a stage since the last run cannot change its output; ``because`` says why.

    The next run copies the stage's blocks of before to the new fingerprint, and receipts and traces tell who vouched for it.

    Raises
    ------
    ConfigError
        There is no such stage, no run before, nothing of the stage itself changed, its weights are not here, or it is made with
        what was learned from other panoramas than then; or no reason is given.
    """
    keys = [step.key for step in plan.steps if step.stage.owes]
    if key not in keys:
        raise ConfigError(f"--accept {key}: no stage that this file makes is called so; it makes {', '.join(keys)}")
    if not because.strip():
        raise ConfigError(f'--accept {key}: say why its output cannot change: --because "..."')
    stage = plan.step(key).stage
    if stage.lacks:
        raise ConfigError(f"--accept {key}: weights are not here: {', '.join(stage.lacks)}; accept it where they are")
    before = (latest_run(config.root, config.name, trials=False) or {}).get("identities", {}).get(key)
    if before is None:
        raise ConfigError(f"--accept {key}: no run of this file has made it yet, so there is nothing that could hold")
    if before["settings"].get(OVER) != stage.identity.settings.get(OVER):
        raise ConfigError(f"--accept {key}: what it is made with was learned from other panoramas in the last run; it must run")
    changes = [str(one) for one in differences(before, stage.identity.as_json(), key) if not one.what.startswith("upstream ")]
    if not changes:
        raise ConfigError(f"--accept {key}: nothing of it changed since the last run; accept the one that did")
    said = {"before": before["fingerprint"], "because": because.strip(), "by": user_name(), "changes": changes}
    write_accepted(
        stage.root, stage.name, stage.identity.fingerprint, {**said, "at": datetime.now(UTC).isoformat(timespec="seconds")}
    )
