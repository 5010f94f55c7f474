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
    str | None,
    typer.Option(help="Only this stage and what it is made from.", show_default=False, autocompletion=complete_stage),
]


def trial_of(**options: Any) -> Trial:
    """The trial that the options of a command line ask for; commands that are printed to be typed will have them."""
    from pydantic import ValidationError

    from configs.settings import ConfigError
    from configs.trial import Trial
    from flows.invocation import remember_trial

    given = {name: value for name, value in options.items() if value not in (None, [])}
    try:
        trial = Trial.model_validate(given)
    except ValidationError as error:
        told = error.errors()[0]
        name = "".join(f"--{part} {given[str(part)]}: " for part in told["loc"][:1])
        raise ConfigError(name + told["msg"].removeprefix("Value error, ")) from error
    remember_trial(trial)
    return trial
