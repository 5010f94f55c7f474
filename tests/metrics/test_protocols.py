"""Protocols are found by name, and say what the published ones say."""

import pytest

from metrics.protocols import PROTOCOLS, Protocol, protocol_named


def test_named_protocols():
    assert protocol_named("panolabel").by_area
    assert protocol_named("panolabel").alignment == "metric"
    assert not protocol_named("unweighted").by_area
    assert protocol_named("da2").alignment == "median"
    for alignment in ("metric", "scale", "scale_and_shift"):
        for suffix, crop in (("", 0), ("_matterport3d360", 0.14), ("_stanford2d3ds", 0.15)):
            protocol = protocol_named(f"pager_{alignment}{suffix}")
            assert (protocol.alignment, protocol.pole_crop, protocol.by_area) == (alignment, crop, False)
            assert protocol.truth_range == (0.0101, 74.25)
            assert protocol.clip == (0.01, 75.0)
    assert all(name == protocol.name for name, protocol in PROTOCOLS.items())


def test_unknown_name_offers_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'pager_scale'"):
        protocol_named("pager_scal")
    with pytest.raises(ValueError, match="known: panolabel"):
        protocol_named("zzz")


def test_unknown_alignment_is_refused():
    with pytest.raises(ValueError, match="alignment 'affine' is not one of metric"):
        Protocol("mine", "", alignment="affine")
    with pytest.raises(ValueError, match="unmatched 'maybe' is neither"):
        Protocol("mine", "", unmatched="maybe")
