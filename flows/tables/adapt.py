"""The lineage of an adapted model for a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.markup import escape
from rich.tree import Tree

from flows.text import console, json_text

MOST_PANORAMAS = 10


def print_model_trace(lineage: Mapping[str, Any]) -> None:
    """A lineage as a tree: the adapted model, what made it, and what it was made from."""
    tree = Tree("[bold]adapted model[/]" if lineage["model"] else "[bold]adapted model[/], not made yet")
    for model in lineage["model"]:
        tree.add(f"at {escape(model['url'])}")
        tree.add(f"sha256 {model['sha256']}")
    for step in reversed(lineage["steps"]):
        _add_step(tree, step)
    source = tree.add(f"[bold]source model[/] {escape(lineage['source_model']['url'])}")
    source.add(f"sha256 {lineage['source_model']['sha256']}")
    panoramas = tree.add(f"[bold]panoramas[/] {len(lineage['panoramas'])}")
    for one in lineage["panoramas"][:MOST_PANORAMAS]:
        panoramas.add(f"{escape(one['item'])}  sha256 {one['sha256']}")
    if len(lineage["panoramas"]) > MOST_PANORAMAS:
        panoramas.add("... all of them with --json")
    console.print(tree, soft_wrap=True)


def _add_step(tree: Tree, step: Mapping[str, Any]) -> None:
    branch = tree.add(f"[bold]{step['stage']}[/] {step['state']}, {len(step['blocks'])} blocks")
    branch.add(f"fingerprint {step['fingerprint']}, code version {step['version']}")
    for name, value in step["settings"].items():
        branch.add(escape(f"{name}: {json_text(value)}"))
    made_from = [f"{name} {fingerprint}" for name, fingerprint in step["upstream"].items()]
    made_from += [f"weights {name} {digest[:16]}" for name, digest in step["weights"].items()]
    branch.add(escape("made from: " + ", ".join(made_from)))
    if step["stage"] == "thresholds":
        for one in step["blocks"]:
            for part, classes in one["figures"].items():
                shown = ", ".join(f"{name} {own['threshold']:.3f} ({own['predictions']})" for name, own in classes.items())
                branch.add(escape(f"{part}: {shown or 'nothing was predicted'}"))
