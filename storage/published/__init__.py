"""Versions of labels for readers elsewhere."""

from storage.published.opening import open_published

__all__ = ["open_published"]
