"""Whether a plan that was kept is still what a run would do."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from configs.settings import ConfigError
from flows.invocation import command
from flows.plan import Plan
from storage.fingerprint import differences

SHOWN = 5


class PlanDrift(RuntimeError):
    """Something changed since the plan was made; the message says what."""


def refuse_drift(path: Path, now: Plan) -> None:
    """Raise unless a plan file, written by ``panolabel plan --json``, says what ``now`` says.

    Raises
    ------
    PlanDrift
        Settings, code, weights, files or finished blocks are not what they were.
    ConfigError
        The file is no plan.
    """
    typed = f"{command('plan', '--json')} > {shlex.quote(str(path))}"
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        found = drift(kept, json.loads(json.dumps(now.as_json())))
    except OSError as error:
        raise ConfigError(f"plan {path}: cannot be read ({error.strerror}); write one with `{typed}`") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"plan {path}: is no plan; write one with `{typed}`") from error
    if found:
        raise PlanDrift(
            f"{path} is not what a run would do now:\n  " + "\n  ".join(found) + "\nLook at the new plan, and keep that."
        )


def drift(kept: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs between two plans as JSON values, one line each."""
    then, today = (" ".join(plan.get("trial", ())) or "all" for plan in (kept, now))
    trial = [f"trial: {then} -> {today}"] * (then != today)
    only = sorted(kept["identities"].keys() ^ now["identities"].keys())
    lines = trial + [f"{stage}: is in the {'kept plan' if stage in kept['identities'] else 'config now'} only" for stage in only]
    for stage in kept["identities"].keys() & now["identities"].keys():
        before, after = kept["identities"][stage], now["identities"][stage]
        if before["fingerprint"] != after["fingerprint"]:
            lines += [f"{stage}: {change}" for change in differences(before, after)]
    for source in kept["files"].keys() | now["files"].keys():
        lines += _names(_files(source, now["files"]), kept["files"].get(source, []), now["files"].get(source, []))
    for stage in kept["owed"].keys() & now["owed"].keys():
        if kept["identities"][stage]["fingerprint"] == now["identities"][stage]["fingerprint"]:
            lines += _names(f"{stage}: blocks to make", kept["owed"][stage], now["owed"][stage])
    return lines


def _files(source: str, files: Mapping[str, Any]) -> str:
    return f"{source}: files to read" if len(files) > 1 else "files to read"


def _names(what: str, kept: list[str], now: list[str]) -> list[str]:
    lines = []
    for word, names in (("no longer", sorted(set(kept) - set(now))), ("new", sorted(set(now) - set(kept)))):
        if names:
            lines.append(f"{what}: {word} {', '.join(names[:SHOWN])}{f' and {len(names) - SHOWN} more' * (len(names) > SHOWN)}")
    return lines
