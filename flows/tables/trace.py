"""Lineages as trees for a terminal: of one panorama, or of all stages and models."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.tree import Tree

from flows.text import json_text, size
from tasks.stage.kind import OVER

WIDEST = 1000
MOST_SHOWN = 10
"""Panoramas, or figures of blocks, that a terminal is shown; JSON has all of them."""


def print_trace(lineage: Mapping[str, Any]) -> None:
    """A lineage as a tree, from the pixels to the figures."""
    tree = _of_item(lineage) if "item" in lineage else _of_all(lineage)
    Console(width=WIDEST).print(tree, soft_wrap=True)  # a digest that is cut off cannot be copied


def _of_item(lineage: Mapping[str, Any]) -> Tree:
    source = lineage["source"]
    tree = Tree(f"[bold]{escape(lineage['item'])}[/]  block {lineage['block']}, slot {lineage['slot']}")
    pixels = tree.add(f"source {escape(source['uri'])}")
    pixels.add(f"sha256 {source['sha256']}")
    pixels.add(f"{source['width']}x{source['height']} pixels")
    for name, value in {**source["metadata"], **source["figures"]}.items():
        pixels.add(escape(f"{name}: {json_text(value)}"))
    for event in lineage["forgotten"]:
        tree.add(escape(f"{event['what']} by {event['by']} at {event['at']}: {event['because']}"))
    for step in lineage["steps"]:
        _add_step(tree, step)
    return tree


def _of_all(lineage: Mapping[str, Any]) -> Tree:
    panoramas, models = lineage["panoramas"], lineage["models"]
    tree = Tree(f"[bold]lineage[/] of {len(lineage['steps'])} stages")
    for source, count in Counter(one["source"] for one in panoramas).items():
        branch = tree.add(f"[bold]{source}[/] {count} panoramas")
        for one in [one for one in panoramas if one["source"] == source][:MOST_SHOWN]:
            branch.add(f"{escape(one['item'])}  sha256 {one['sha256']}")
        _add_hidden(branch, count)
    for step in lineage["steps"]:
        branch = _add_step(tree, step)
        for model in models.get(step["key"], ()):
            branch.add(escape(f"model at {model['url']}")).add(f"sha256 {model['sha256']}")
    return tree


def _add_step(tree: Tree, step: Mapping[str, Any]) -> Tree:
    """A stage: what became of the panorama, or of all its blocks where it is told as a whole."""
    count = f", {len(step['blocks'])} blocks" if "blocks" in step else ""
    branch = tree.add(f"[bold]{step['key']}[/] {step['state']}{count} {escape(step.get('reason', ''))}".rstrip())
    stored = f", stored as {step['stage']}" if step["stage"] != step["key"] else ""
    branch.add(f"fingerprint {step['fingerprint']}, code version {step['version']}{stored}")
    for name, value in step["weights"].items():
        branch.add(f"weights of {name}: sha256 {value}")
    for name, value in step["settings"].items():
        if name != OVER:  # its blocks follow from what it was made from
            branch.add(escape(f"{name}: {json_text(value)}"))
    if step["upstream"]:
        branch.add(escape(f"made from: {json_text(step['upstream'])}"))
    if "made" in step:
        _add_made(branch, step)
    told = [block for block in step.get("blocks", ()) if block["figures"]]
    for block in told[:MOST_SHOWN]:
        for name, value in block["figures"].items():
            branch.add(escape(f"{name}: {json_text(value)}"))
    _add_hidden(branch, len(told))
    return branch


def _add_made(branch: Tree, step: Mapping[str, Any]) -> None:
    made, files = step["made"], step["files"]
    branch.add(f"made by run {made['run']} on {made['device']} with torch {made['versions']['torch']}")
    if adopted := made.get("adopted"):
        branch.add(escape(f"copied from {adopted}, which has read the same"))
    if accepted := made.get("accepted"):
        branch.add(escape(f"accepted by {accepted['by']} at {accepted['at']}: {accepted['because']}"))
    branch.add(escape(f"{len(files)} files, {size(sum(file['bytes'] for file in files.values()))}, at {step['url']}"))


def _add_hidden(branch: Tree, count: int) -> None:
    if count > MOST_SHOWN:
        branch.add(f"and {count - MOST_SHOWN} more: --json")
