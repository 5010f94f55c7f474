"""Captioners: models that say in words what views of a clip show."""
