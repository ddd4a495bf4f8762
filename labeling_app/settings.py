"""What a lead decides about a project. Every option is documented here, once."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Mode = Literal["comparison", "ranking"]
Wanted = Literal["off", "optional", "required"]


class Axis(BaseModel):
    """A named scale on which each response is rated."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(min_length=1, max_length=40)]
    description: Annotated[str, Field(max_length=300)] = ""
    low: Annotated[int, Field(ge=0, le=10)] = 1
    high: Annotated[int, Field(ge=1, le=10)] = 5

    @model_validator(mode="after")
    def _ordered(self) -> "Axis":
        if self.low >= self.high:
            raise ValueError(f"axis {self.name!r}: low {self.low} must be below high {self.high}")
        return self


class ProjectSettings(BaseModel):
    """The options of a project."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    overlap: Annotated[int, Field(ge=1, le=50, description="people who judge each item")] = 1
    gold_share: Annotated[
        float, Field(ge=0, le=0.5, description="share of hidden items with a known answer in what a person gets")
    ] = 0.0
    repeat_share: Annotated[
        float, Field(ge=0, le=0.5, description="share of earlier items that come again with the sides swapped")
    ] = 0.0
    rationale: Annotated[Wanted, Field(description="a reason in words")] = "off"
    axes: Annotated[tuple[Axis, ...], Field(max_length=6, description="scales on which each response is rated")] = ()
    edit: Annotated[bool, Field(description="offer to edit the better response: edited > chosen > rejected")] = False
    safety_flag: Annotated[bool, Field(description="offer to mark responses as unsafe")] = False
    qualification_pass: Annotated[
        float, Field(ge=0, le=1, description="share of the qualification items to get right before real work")
    ] = 0.8
    lease_minutes: Annotated[
        float, Field(gt=0, le=24 * 60, description="an item is given back when its page has been silent for so long")
    ] = 10.0
    expected_seconds: Annotated[
        float, Field(gt=0, le=3600, description="for one judgement, to estimate the effort")
    ] = 30.0
    show_pace: Annotated[bool, Field(description="show people their own pace; it rewards rushing")] = False
    rest_minutes: Annotated[int, Field(ge=0, le=600, description="remind of a rest after so long; 0: never")] = 45
    seed: Annotated[int, Field(ge=0, description="of the order of sides, gold items and repeats")] = 0

    @model_validator(mode="after")
    def _some_real_work(self) -> "ProjectSettings":
        if self.gold_share + self.repeat_share > 0.5:
            raise ValueError("gold_share and repeat_share together are above 0.5: more checking than work")
        if len({axis.name for axis in self.axes}) < len(self.axes):
            raise ValueError("two axes have the same name")
        return self

    @property
    def more_than_the_choice(self) -> bool:
        """Whether a key only selects, and Enter submits."""
        return self.rationale != "off" or bool(self.axes) or self.edit or self.safety_flag
