"""YAML text as plain values, within bounds: what a config needs of YAML, and nothing that could run code or eat memory."""

from __future__ import annotations

import re
from typing import Any

import yaml

NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
SURPRISING = re.compile(r"[-+]?(0[0-7_]*[1-7][0-7_]*|[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?)")
"""Numbers that YAML 1.1 reads in eights (``012`` is 10) or in sixties (``12:30`` is 750)."""
MOST_BYTES = 256_000
MOST_NODES = 50_000
"""Bounds of a config's text and of the values it stands for; a thousand views by hand take a tenth of either."""


class Trap(ValueError):
    """The text is YAML, but YAML would silently make something else of it than was meant."""


def parse_yaml(raw: bytes) -> Any:
    """The value that YAML text stands for: plain mappings, lists, text, numbers, dates.

    Raises
    ------
    ValueError
        It is not UTF-8 or not YAML, is larger than :data:`MOST_BYTES`, has tags that stand for Python objects, a key twice in
        one mapping, or a number in a form that YAML reads as another (``012``, ``12:30``), or unfolds to more than
        :data:`MOST_NODES` values through its aliases. The message says what to change.
    """
    if len(raw) > MOST_BYTES:
        raise ValueError(f"is larger than {MOST_BYTES // 1000} kB; a config is short, so check the path")
    try:
        loader = yaml.SafeLoader(raw.decode("utf-8-sig"))
        node = loader.get_single_node()
        # Counted before anything is built: nine aliases in nine lines unfold to a billion values.
        size = 0 if node is None else _unfolded(node, {})
        if node is not None and size <= MOST_NODES:
            _refuse_traps(node, set())  # before anything is built, which writes merged keys (<<) into the nodes
            value = loader.construct_document(node)
        else:
            value = None
    except Trap:
        raise
    except RecursionError as error:
        raise ValueError("is nested too deeply; write it flat") from error
    except yaml.constructor.ConstructorError as error:
        raise ValueError(f"is not plain YAML: {error}; remove the tag (!...) or write the value out") from error
    except Exception as error:  # PyYAML lets through whatever its parsers of dates and numbers raise
        raise ValueError(f"is not valid YAML: {error}") from error
    if size > MOST_NODES:
        raise ValueError(f"stands for more than {MOST_NODES} values once its aliases (*name) are unfolded; use fewer")
    return value


def _refuse_traps(node: yaml.Node, seen: set[int]) -> None:
    """Raise Trap where YAML would silently take another value than the one that was meant."""
    if id(node) in seen:  # an alias of what was looked at already
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        _refuse_double_keys(node)
    if isinstance(node, yaml.CollectionNode):
        for part in _parts(node):
            _refuse_traps(part, seen)
    elif node.tag in NUMBERS and SURPRISING.fullmatch(node.value):
        value = yaml.SafeLoader("").construct_object(node)
        raise Trap(
            f"line {_line(node)}: {node.value} means {value} in YAML (leading zeros count in eights, colons in sixties); "
            f"write {value}, or '{node.value}' in quotes for the text"
        )


def _refuse_double_keys(node: yaml.MappingNode) -> None:
    first: dict[tuple[str, str], int] = {}
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode):
            name = (key.tag, key.value)
            if name in first:
                raise Trap(
                    f"the key {key.value!r} stands twice in one mapping, in lines {first[name]} and {_line(key)}; YAML keeps the "
                    "last one only, so remove one, or join them"
                )
            first[name] = _line(key)


def _parts(node: yaml.CollectionNode) -> list[yaml.Node]:
    return [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else list(node.value)


def _line(node: yaml.Node) -> int:
    return node.start_mark.line + 1


def _unfolded(node: yaml.Node, known: dict[int, int]) -> int:
    """Values that a node stands for once every alias is written out."""
    if id(node) not in known:
        known[id(node)] = MOST_NODES  # until it is counted: what stands inside itself would never end
        nested = _parts(node) if isinstance(node, yaml.CollectionNode) else ()
        known[id(node)] = 1 + sum(_unfolded(part, known) for part in nested)
    return known[id(node)]
