"""What a depth network's numbers are: read from its config, never from its name; where the config is silent, ours must say it."""

from __future__ import annotations

from typing import Any

from models.teachers.settings import DepthUnit

CHOICES = "metre, scale (a distance up to one factor a view) or inverse (disparity-like)"


def told_by(config: Any) -> DepthUnit | None:
    """The unit that the config of a network of `transformers` tells; None where it tells none.

    Read off the heads' own formulas in `transformers` 5.23: ``depth_anything`` gives ``sigmoid * max_depth`` if
    ``depth_estimation_type`` is metric, else ``relu``, an inverse distance; ``glpn`` ``sigmoid * max_depth``; ``tipsv2_dpt`` and
    ``zoedepth`` weigh bins between ``min_depth`` and ``max_depth``; ``depth_pro`` says inverse distances of a known camera,
    which are turned into metres here. ``dpt`` ends in ``relu`` whatever it learned: MiDaS's weights give inverse distances,
    DINOv2's for NYU and KITTI give metres, and their configs do not differ in that.

    Raises
    ------
    ValueError
        The network's numbers are no distances of any kind.
    """
    kind = config.model_type
    if kind == "chmv2":
        raise ValueError("model: CHMv2 gives heights of tree tops over the ground, which are no distances; take another model")
    if kind == "depth_anything" and config.depth_estimation_type == "relative":
        return "inverse"
    if kind in ("depth_anything", "glpn"):
        # A sigmoid that nothing stretches ends at 1: that is a share of some range, not metres.
        return "metre" if (config.max_depth or 0) > 1 else None
    return "metre" if kind in ("depth_pro", "tipsv2_dpt", "zoedepth") else None


def depth_unit(config: Any, stated: DepthUnit | None) -> DepthUnit:
    """Unit of a network's depth, as its config tells or ours states it.

    Metres may be stated as ``scale``, which claims less. DepthPro's may be stated as ``inverse``, which is what it says itself.

    Raises
    ------
    ValueError
        Neither says it, or they contradict each other.
    """
    kind, told = config.model_type, told_by(config)
    if told is None and stated is None:
        raise ValueError(
            f"depth_unit: the config of this model (of type {kind!r}) does not tell what its numbers are; set depth_unit in the "
            f"teacher's settings to {CHOICES}, as its model card says"
        )
    if kind == "prompt_depth_anything" and stated == "metre":
        raise ValueError(
            "depth_unit: Prompt Depth Anything gives metres only where measured distances are given to it, which there are none "
            "of here; set depth_unit to scale or inverse, or take another model"
        )
    if told is None or stated is None or stated == told:
        return stated or told  # type: ignore[return-value]
    weaker = {"metre": {"scale", "inverse"} if kind == "depth_pro" else {"scale"}}.get(told, set())
    if stated not in weaker:
        raise ValueError(
            f"depth_unit: is set to {stated}, but the config of this model (of type {kind!r}) tells that it gives {told}; "
            f"drop the key, or set it to {' or '.join([told, *sorted(weaker)])}"
        )
    return stated
