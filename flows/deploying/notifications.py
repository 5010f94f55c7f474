"""What a Prefect server tells a webhook of deployed runs: that one failed, is done, gave up panoramas, waits, or is dead.

Runs are found by the tag of their config, so one registration holds for all deployments of it. Prefect is imported here:
whoever imports this has settled which server is asked.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from prefect.blocks.webhook import Webhook
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import StateType
from prefect.events.actions import CallWebhook, ChangeFlowRunState
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification
from prefect.exceptions import ObjectNotFound
from prefect.types import SecretDict
from pydantic import SecretStr

from flows.telling.events import QUARANTINED
from flows.telling.tags import config_tag
from flows.text import duration

ENDED = "prefect.flow-run.*"
"""States are events by their names, of which some are our own (``Interrupted``), so they are told by their types."""
DEAD = "Dead"
"""Name of the state of a run of which nothing was heard for too long; it is of the type Crashed."""
MOST_CHARACTERS = 1000
RUN, STATE = 'event.resource["prefect.resource.name"]', 'event.resource["prefect.state-name"]'
GIVEN_UP = '"gave up " ~ event.payload.new ~ " items, " ~ event.payload.all ~ " in all"'
FIRST = '"; the first: " ~ event.payload.first[0].item ~ ", " ~ event.payload.first[0].reason'


def notify(client: SyncPrefectClient, config: str, url: str, dead_after: timedelta) -> Sequence[str]:
    """Register the automations of a config in place of those that are there; their names."""
    forget(client, config)
    webhook = Webhook(url=SecretStr(url), headers=SecretDict({"Content-Type": "application/json"}))
    block = webhook.save(_block(config), overwrite=True)
    assert isinstance(block, UUID), "a coroutine only where an event loop runs"
    made = automations(config, block, dead_after)
    for one in made:
        client.create_automation(one)
    return [one.name for one in made]


def forget(client: SyncPrefectClient, config: str) -> None:
    """Remove the automations of a config, and the address that they have; nothing happens where there are none."""
    client.delete_resource_owned_automations(_owner(config))
    try:
        block = client.read_block_document_by_name(_block(config), Webhook.get_block_type_slug())
    except ObjectNotFound:
        return
    client.delete_block_document(block.id)


def automations(config: str, webhook: UUID, dead_after: timedelta) -> Sequence[AutomationCore]:
    """When is told what, by this webhook, of the deployed runs of a config."""
    ended, waiting = _telling(config), _telling(config, "it waits for somebody to resume it in the UI")
    payload = {"pipeline": json.dumps(config), "run": "event.payload.run", "state": '"Quarantined"'}
    payload |= {"new": "event.payload.new", "all": "event.payload.all", "first": "event.payload.first"}
    payload["text"] = f'{json.dumps(config)} ~ ": run " ~ event.payload.run ~ " " ~ {GIVEN_UP} ~ {FIRST}'
    return [
        _automation(config, "failed", _ending("FAILED", "CRASHED"), _calling(webhook, ended)),
        _automation(config, "done", _ending("COMPLETED"), _calling(webhook, ended)),
        _automation(config, "waiting", _ending("PAUSED"), _calling(webhook, waiting)),
        _automation(config, "quarantined", _giving_up(config), _calling(webhook, payload)),
        _automation(config, "dead", _falling_silent(dead_after), _declaring_dead(dead_after)),
    ]


def _telling(config: str, otherwise: str = "") -> dict[str, str]:
    """What is told of a state, by expressions; ``otherwise`` where the state has no message."""
    message = f'(event.resource["prefect.state-message"] or {json.dumps(otherwise)}) | truncate({MOST_CHARACTERS})'
    return {
        "pipeline": json.dumps(config),
        "run": RUN,
        "state": STATE,
        "message": message,
        "id": "flow_run.id | string",
        "url": "flow_run | ui_url",  # null where the server does not know its UI
        "text": f'{json.dumps(config)} ~ ": run " ~ {RUN} ~ " is " ~ {STATE} ~ ": " ~ ({message})',
    }


def _automation(config: str, what: str, trigger: EventTrigger, action: CallWebhook | ChangeFlowRunState) -> AutomationCore:
    of_config = {"prefect.resource.id": f"prefect.tag.{config_tag(config)}"}
    deployed = {"prefect.resource.role": "deployment"}
    related = [deployed] if what == "quarantined" else [of_config, deployed]
    trigger.match_related = [ResourceSpecification(one) for one in related]
    return AutomationCore(
        name=f"panolabel {config}: {what}",
        description=f"of runs with the tag {config_tag(config)} that a deployment started",
        trigger=trigger,
        actions=[action],
        owner_resource=_owner(config),
    )


def _ending(*types: str) -> EventTrigger:
    return _on(ENDED, {"prefect.resource.id": "prefect.flow-run.*", "prefect.state-type": list(types)})


def _giving_up(config: str) -> EventTrigger:
    return _on(QUARANTINED, {"prefect.resource.id": _owner(config)})


def _on(event: str, match: dict[str, str | list[str]]) -> EventTrigger:
    """At once, for each event of such a resource."""
    return EventTrigger(
        expect={event},
        match=ResourceSpecification(match),
        for_each={"prefect.resource.id"},
        posture=Posture.Reactive,
        threshold=1,
        within=timedelta(0),
    )


def _falling_silent(dead_after: timedelta) -> EventTrigger:
    """After a heartbeat neither another one nor any state: also a run that is paused or ended under a name of its own is well."""
    return EventTrigger(
        after={"prefect.flow-run.heartbeat"},
        expect={"prefect.flow-run.*"},
        match=ResourceSpecification({"prefect.resource.id": "prefect.flow-run.*"}),
        for_each={"prefect.resource.id"},
        posture=Posture.Proactive,
        threshold=1,
        within=dead_after,
    )


def _declaring_dead(dead_after: timedelta) -> ChangeFlowRunState:
    """The state is of the type Crashed: the automation for failed runs tells of it, and the deployment's limit is free again."""
    silence = duration(dead_after.total_seconds())
    message = f"no sign of life for {silence}: worker or machine is gone; what is done stays done, run it again to go on"
    return ChangeFlowRunState(state=StateType.CRASHED, name=DEAD, message=message)


def _calling(webhook: UUID, body: dict[str, str]) -> CallWebhook:
    """A POST of JSON whose values are expressions that the server fills in."""
    values = ", ".join(f"{json.dumps(key)}: {{{{ ({value}) | tojson }}}}" for key, value in body.items())
    return CallWebhook(block_document_id=webhook, payload="{" + values + "}")


def _owner(config: str) -> str:
    return f"panolabel.config.{config}"


def _block(config: str) -> str:
    return f"panolabel-{config.replace('_', '-')}"  # names of blocks have no underscores, those of configs no dashes
