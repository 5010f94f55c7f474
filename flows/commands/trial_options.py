"""Options of ``plan``, ``run`` and ``cost`` that cut a pipeline down to some panoramas or stages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.commands.completion import complete_item, complete_stage

if TYPE_CHECKING:
    from configs.trial import Trial

LimitOption = Annotated[int | None, typer.Option(min=1, help="Only the first N panoramas of each source.", show_default=False)]
ItemsOption = Annotated[
    list[str] | None,
    typer.Option("--items", help="Only this panorama; may be repeated.", show_default=False, autocompletion=complete_item),
]
SampleOption = Annotated[
    float | None, typer.Option(help="Only this share of the panoramas, always the same.", show_default=False)
]
SplitOption = Annotated[str | None, typer.Option(help="Only panoramas of this split.", show_default=False)]
StageOption = Annotated[str | None, typer.Option(help="Only this stage.", show_default=False, autocompletion=complete_stage)]
UntilOption = Annotated[
    list[str] | None,
    typer.Option(
        "--until",
        help="Only this stage and what it is made from; may be repeated.",
        show_default=False,
        autocompletion=complete_stage,
    ),
]


def trial_of(**options: Any) -> Trial:
    """The trial that the options of a command line ask for."""
    from flows.asked import asked_trial

    return asked_trial(**options)
