"""``adapt``: a source model adapts to unlabelled panoramas."""

from __future__ import annotations

from flows.commands.options import ConfigFile, JsonOption, RetryOption, RootOption, SetOption, SourceOption, overrides
from flows.commands.running import FromPlanOption, finish


def adapt(
    config: ConfigFile,
    source: SourceOption = None,
    root: RootOption = None,
    settings: SetOption = None,
    retry_quarantined: RetryOption = False,
    from_plan: FromPlanOption = None,
    as_json: JsonOption = False,
) -> None:
    """Adapt a segmentation model to unlabelled panoramas, without its source data: `run` for such a config, and no other."""
    from configs.adapt import load_adapt_config
    from flows.invocation import remember

    remember(config, source, root, settings)
    wanted = load_adapt_config(config, overrides(settings, source, root))
    finish(config, wanted, retry_quarantined, from_plan, as_json)
