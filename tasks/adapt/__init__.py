"""Source-free adaptation as stages: predict, scores, thresholds, omni, pool, adapt, compare. See docs/adapt.md."""
