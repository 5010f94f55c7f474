"""What an adaptation, and the stages that it consists of, may say."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from configs.settings import ADDED, APART, Settings

SOURCE_DATA = ("source_data", "source_dataset", "source_images", "source_labels", "pinholes", "labelled")
"""Keys under which somebody might hand over the data that the source model learned from."""

Share = Annotated[float, Field(ge=0, le=1)]
Columns = Annotated[int, Field(ge=32, multiple_of=32)]


class ThresholdRule(Settings):
    """A class's threshold is the lower of ``fixed`` and the score that ``share`` of its predictions reach."""

    fixed: Share
    share: Share
    least: Share = 0.05
    """Predictions below it do not count."""


class SemanticRule(ThresholdRule):
    """Of pixels; those below are ignored."""

    fixed: Share = 0.5
    share: Share = 0.8
    least: Share = 0.0


class InstanceRule(ThresholdRule):
    """Of visible objects."""

    fixed: Share = 0.5
    share: Share = 0.3


class AmodalRule(ThresholdRule):
    """Of whole objects."""

    fixed: Share = 0.3
    share: Share = 0.5


class PoolRule(ThresholdRule):
    """Of whole objects that are sure enough to be pasted."""

    fixed: Share = 0.9
    share: Share = 0.15


class OmniLabels(Settings):
    """Which predictions become pseudo-labels (the paper's eq. 4)."""

    semantic: SemanticRule = SemanticRule()
    instances: InstanceRule = InstanceRule()
    amodals: AmodalRule = AmodalRule()
    veto: Literal["cut", "objects"] = "cut"
    """What semantics do to a mask outside of Things: ``cut`` it, as the paper does, or keep it whole if half of it is inside and
    drop it otherwise."""


class ObjectPool(Settings):
    """Which whole objects are cut out, to be pasted into training crops."""

    rule: PoolRule = PoolRule()
    per_class: int = Field(200, ge=1)
    """Objects kept of each class, the surest; bounds the pool whatever the number of panoramas."""


class AdaptTraining(Settings):
    """How the source model learns from pseudo-labels."""

    steps: int = Field(10000, ge=1)
    batch_size: int = Field(4, ge=1)
    crop: tuple[Columns, Columns] = (384, 384)
    """Rows and columns of the crops, multiples of 32."""
    ignore_uncertain: bool = False
    """Boxes that are more than half uncertain teach the box heads nothing, instead of teaching background."""
    mixing: Literal["none", "zero", "amodal", "instance", "aomix", "random"] = "zero"
    """What is pasted into crops, see docs/adapt.md; ``none`` learns from pseudo-labels alone."""
    pasted: int = Field(10, ge=0)
    """Most objects pasted into a crop."""
    anchor: float = Field(0.0, ge=0)
    """Weight of the squared distance from the source model's weights; 0 leaves it out, the release has 10."""
    classmix: float = Field(0.0, ge=0)
    """Weight of the classes learned on crops with half of another's classes pasted in; 0 leaves it out, the release has 1."""
    learning_rate: float = Field(1e-7, gt=0)
    """Of AdamW; falls to 0 as (1 - step / steps)^0.9."""
    rates: dict[str, Annotated[float, Field(ge=0)]] = Field(
        default_factory=lambda: {"semantic": 1e4, "pyramid": 10.0, "proposals": 0.1}
    )
    """By how much to multiply the learning rate of the network's parts of these names; the others have 1."""
    weight_decay: float = Field(0.01, ge=0)
    clip: float = Field(10.0, gt=0)
    """Largest norm of a step's gradient."""
    precision: Literal["no", "bf16", "fp16"] = "no"
    seed: int = Field(0, ge=0)


class Scoring(Settings):
    """How detections become panoptic maps where there is truth to compare with."""

    instance_score: Share = 0.5
    """Least score of an instance. Choose it once, on the source model's validation data, for every model that is compared."""
    amodal_score: Share = 0.5
    least_stuff: int = Field(2048, ge=0)
    """Pixels of a panorama below which stuff counts as void."""


Height = Annotated[int, Field(ge=32, multiple_of=32)]


class Found(Settings):
    """What the source model says of panoramas, or teachers in its place."""

    height: Height = 512
    """Rows of the panoramas as the network sees them; they are twice as wide. All figures are measured at this size."""


class Learning(AdaptTraining):
    """The stage that learns from pseudo-labels."""

    height: Annotated[Height, APART] = 512
    checkpoint_every: Annotated[int, Field(ge=1), APART] = 500
    """Steps between checkpoints. Changes no output."""
    processes: Annotated[int, Field(ge=1), ADDED] = 1


class Adapt(Settings):
    """How a source model adapts to unlabelled panoramas, without the data that it learned from."""

    height: Height = 512
    """Rows of the panoramas as the network sees them; they are twice as wide. All figures are measured at this size."""
    omni: OmniLabels = OmniLabels()
    pool: ObjectPool = ObjectPool()
    training: AdaptTraining = AdaptTraining()
    checkpoint_every: int = Field(500, ge=1)
    """Steps between checkpoints of the training. Changes no output."""
    processes: int = Field(1, ge=1)
    """Processes that train together on the machine that holds the stage, each on a GPU of its own where there are several."""

    @model_validator(mode="before")
    @classmethod
    def _no_source_data(cls, values: Any) -> Any:
        if isinstance(values, dict) and (given := [key for key in SOURCE_DATA if key in values]):
            raise ValueError(
                f"{given[0]}: an adaptation gets no source data, only the source model and unlabelled panoramas; remove it "
                "(truth of the panoramas, with which nothing is trained, goes to the source of their stage)"
            )
        return values

    @model_validator(mode="after")
    def _crops_fit(self) -> Adapt:
        rows, columns = self.training.crop
        if rows > self.height or columns > 2 * self.height:
            raise ValueError(
                f"training.crop: {rows} x {columns} does not fit into panoramas of {self.height} x {2 * self.height}; "
                "make it smaller, or height larger"
            )
        return self
