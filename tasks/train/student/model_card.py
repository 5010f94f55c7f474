"""The model card of a network: what it is, and which labels, weights and licences it comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tasks.label.teachers.licences import UNKNOWN
from tasks.train.labels.settings import TrainOnLabels

TEACHER = ("name", "model", "licence", "weights")


@dataclass(frozen=True)
class Card:
    """What model cards of one kind of network have in common: the ``library`` that reads it, its name, and its use."""

    library: str
    kind: str
    use: str

    @property
    def front(self) -> str:
        """The front matter."""
        return f"""---
library_name: {self.library}
license: other
license_name: that-of-its-labels-and-weights
license_link: README.md
tags: [panorama, depth-estimation, panolabel]
---"""


STUDENT = Card(
    "transformers",
    "student",
    "```python\nfrom transformers import AutoModel\n\nimport models.student  # of panolabel: registers the class\n\n"
    'student = AutoModel.from_pretrained("FOLDER")\noutput = student(pixels)  # (B, 3, H, W), RGB in [0, 1]\n```',
)
FACES = Card(
    "panolabel",
    "network of six faces",
    "```yaml\ngeometry: {stage: label, kind: cubemap, views: faces, settings: {model: FOLDER}}\n```\n"
    "with the line for `faces` that `panolabel plan` then tells.",
)


def model_card(about: dict[str, Any], config: TrainOnLabels, card: Card, backbone: str) -> str:
    """README.md of a network's folder, in the form of the Hugging Face hub.

    Parameters
    ----------
    about : what ``panolabel.json`` beside it says
    config : TrainOnLabels
    card : Card
    backbone : where its first weights come from
    """
    parts = [card.front, *_what(about, card), *_origin(about, backbone), *_quality(about, config)]
    if about["classes"]:
        parts.append(f"Classes: {', '.join(about['classes'])}.")
    return "\n\n".join(parts) + "\n"


def _what(about: dict[str, Any], card: Card) -> list[str]:
    """What the network is for, and how it is used."""
    units = {"metre": "metres", "scale": "no unit: their median over a panorama is about 1", "": "the labels' own unit"}
    unit = units.get(about["depth_unit"], about["depth_unit"])
    return [
        f"# {about['name']}",
        f"A panolabel {card.kind} for {', '.join(about['tasks'])} of 360-degree panoramas: {about['parameters']:,} parameters, "
        f"trained for {about['steps']} steps at {2 * about['height']}x{about['height']} pixels on labels that "
        "models made, not people.",
        "## Use",
        card.use,
        "Or `panolabel predict FOLDER --source PANORAMAS --root STORE`. Distances are radial, in "
        f"{unit}; normals are unit vectors in the world frame (x right, y down, z forward) that face the camera.",
    ]


def _origin(about: dict[str, Any], backbone: str) -> list[str]:
    """Labels and weights that it comes from, with their licences."""
    return [
        "## Labels",
        _table(
            ("labels", "panoramas", "weight", "licence", "fingerprint"),
            [(one["name"], one["panoramas"], one["weight"], one["licence"], one["fingerprint"]) for one in about["labels"]],
        ),
        "The panoramas themselves have licences too; the sources: "
        + "; ".join(f"`{one['source']}`" for one in about["labels"]) + ".",
        "## Weights behind the labels",
        _table(
            ("labels", "teacher", "model", "licence", "sha256"),
            [(one["name"], *(t[key] for key in TEACHER)) for one in about["labels"] for t in one["teachers"]],
        ),
        f"Backbone: {backbone}. Licences are those that the configuration or the weights' own model cards state; what "
        f"is {UNKNOWN} must be found out before this model is passed on.",
    ]  # fmt: skip


def _quality(about: dict[str, Any], config: TrainOnLabels) -> list[str]:
    """How true it is, and how it was trained."""
    return [
        "## Accuracy",
        f"Over {about['held_out']['panoramas']} panoramas of {about['held_out']['from']}.",
        _accuracy(about["held_out"]),
        "## Training",
        _table(("figure", "value"), sorted(about["figures"].items())),
        f"Supervision: {config.supervision}; split `{config.split}`, scored on `{config.held_out}`. These figures are losses on "
        "labels that models made: they say how well the network copies them, not how true it is. Settings and digests are in "
        f"`panolabel.json`; fingerprint {about['fingerprint']}, weights sha256 {about['weights']}.",
    ]


def _accuracy(held_out: dict[str, Any]) -> str:
    """Figures by what was compared; the report's interval is in ``panolabel.json``."""
    compared = {name: rows for name, rows in held_out.items() if isinstance(rows, dict)}
    if not compared:
        return f"Nothing could be compared: {held_out.get('reason', 'no panorama could be read')}."
    figures = dict.fromkeys(figure for rows in compared.values() for figure in rows)
    values = [[rows.get(figure, {}).get("value") for rows in compared.values()] for figure in figures]
    shown = [[figure, *("–" if value is None else f"{value:.3f}" for value in row)] for figure, row in zip(figures, values)]
    told = f"Protocol: {held_out['protocol']}.\n\n" if "protocol" in held_out else ""
    return told + _table(("figure", *compared), shown)


def _table(head: tuple[str, ...], rows: list[Any]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)
