"""The plan that a user was shown, on its way into the flow: what was planned is what runs, and nothing is looked up twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from flows.plan import Plan

_handed: ContextVar[Plan | None] = ContextVar("plan", default=None)


@contextmanager
def handing_over(plan: Plan | None) -> Iterator[None]:
    """Within it, the next flow run of this process goes by a plan that was just made of its config."""
    token = _handed.set(plan)
    try:
        yield
    finally:
        _handed.reset(token)


def handed_plan() -> Plan | None:
    """The plan that was handed over, if there is one."""
    return _handed.get()
