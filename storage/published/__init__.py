"""Versions of labels for readers elsewhere."""

from storage.published.opening import is_publication, open_published, published_versions

__all__ = ["is_publication", "open_published", "published_versions"]
