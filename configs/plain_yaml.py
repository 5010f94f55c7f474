"""YAML text as plain values, within bounds: what a config needs of YAML, and nothing that could run code or eat memory."""

from __future__ import annotations

from typing import Any

import yaml

MOST_BYTES = 256_000
MOST_NODES = 50_000
"""Bounds of a config's text and of the values it stands for; a thousand views by hand take a tenth of either."""


def parse_yaml(raw: bytes) -> Any:
    """The value that YAML text stands for: plain mappings, lists, text, numbers, dates.

    Raises
    ------
    ValueError
        It is not UTF-8 or not YAML, is larger than :data:`MOST_BYTES`, has tags that stand for Python objects, or unfolds to
        more than :data:`MOST_NODES` values through its aliases. The message says what to change.
    """
    if len(raw) > MOST_BYTES:
        raise ValueError(f"is larger than {MOST_BYTES // 1000} kB; a config is short, so check the path")
    try:
        loader = yaml.SafeLoader(raw.decode("utf-8-sig"))
        node = loader.get_single_node()
        # Counted before anything is built: nine aliases in nine lines unfold to a billion values.
        size = 0 if node is None else _unfolded(node, {})
        value = loader.construct_document(node) if node is not None and size <= MOST_NODES else None
    except RecursionError as error:
        raise ValueError("is nested too deeply; write it flat") from error
    except yaml.constructor.ConstructorError as error:
        raise ValueError(f"is not plain YAML: {error}; remove the tag (!...) or write the value out") from error
    except Exception as error:  # PyYAML lets through whatever its parsers of dates and numbers raise
        raise ValueError(f"is not valid YAML: {error}") from error
    if size > MOST_NODES:
        raise ValueError(f"stands for more than {MOST_NODES} values once its aliases (*name) are unfolded; use fewer")
    return value


def _unfolded(node: yaml.Node, known: dict[int, int]) -> int:
    """Values that a node stands for once every alias is written out."""
    if id(node) not in known:
        known[id(node)] = MOST_NODES  # until it is counted: what stands inside itself would never end
        parts = [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else node.value
        nested = parts if isinstance(node, yaml.CollectionNode) else ()
        known[id(node)] = 1 + sum(_unfolded(part, known) for part in nested)
    return known[id(node)]
