"""What the Prefect UI shows of an adaptation's stages: thresholds, pool, pseudo-labels and figures, each once a stage."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from configs.adapt import AdaptConfig
from configs.schema import Config
from flows.telling.artifacts import harmless
from storage.receipts import block_url, read_receipt
from tasks.adapt import compare
from tasks.adapt.showcase import Blocks, label_pictures_of
from tasks.pages.report import picture_uri
from tasks.pipeline import Step


def finished_blocks(root: str, step: Step) -> Blocks:
    """The blocks of a stage that have their receipt."""
    urls = [block_url(root, step.name, step.stage.identity.fingerprint, block.name) for block in step.blocks]
    return [(url, receipt) for url in urls if (receipt := read_receipt(url))]


@harmless
def publish_stage(config: Config, step: Step) -> None:
    """The artifact of a stage that is done, whether by this run or by an earlier one; most stages have none."""
    blocks = finished_blocks(config.root, step) if step.name in ARTIFACTS else []
    if blocks:
        assert isinstance(config, AdaptConfig)
        ARTIFACTS[step.name](config, blocks)


def _thresholds(_config: AdaptConfig, blocks: Blocks) -> None:
    rows = [row for _, receipt in blocks for row in threshold_rows(receipt.items[0].figures)]
    if rows:
        create_table_artifact(rows, key="thresholds", description="Thresholds of pseudo-labels by class")


def threshold_rows(parts: Mapping[str, Mapping[str, Mapping[str, float]]]) -> Iterator[dict[str, Any]]:
    """A row for each branch and class that has predictions."""
    for part, classes in parts.items():
        for name, own in classes.items():
            yield {"branch": part, "class": name, **own}


def _pool(_config: AdaptConfig, blocks: Blocks) -> None:
    ((_, receipt),) = blocks
    figures = receipt.items[0].figures
    rows = [{"class": name, "objects": figures["objects"].get(name, 0), **own} for name, own in figures["thresholds"].items()]
    if rows:
        create_table_artifact(rows, key="pool", description="Objects that are pasted, and the thresholds that chose them")


def _pseudo_labels(config: AdaptConfig, blocks: Blocks) -> None:
    shown = next(label_pictures_of(config.root, blocks), None)
    if shown is not None:
        item, pictures = shown
        text = "\n\n".join(f"**{name}**\n\n![{name}]({picture_uri(picture)})" for name, picture in pictures.items())
        create_markdown_artifact(text, key="pseudo-labels", description=f"What is learned of {item}")


def _figures(_config: AdaptConfig, blocks: Blocks) -> None:
    if figures := compare.figures(blocks):
        rows = [{"model": arm, **own} for arm, own in figures.items()]
        create_table_artifact(rows, key="figures", description="Before and after")


ARTIFACTS: dict[str, Callable[[AdaptConfig, Blocks], None]] = {
    "thresholds": _thresholds,
    "omni": _pseudo_labels,
    "pool": _pool,
    "compare": _figures,
}
