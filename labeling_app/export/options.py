"""What a lead chooses for an export, and what they are told of it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Aggregation = Literal["majority", "dawid_skene"]


class ExportOptions(BaseModel):
    """How single judgements become one row."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    aggregation: Annotated[
        Aggregation, Field(description="the mean of what was said, or weighted by how reliable each annotator proves")
    ] = "majority"
    include_late: Annotated[bool, Field(description="also count judgements that came after their lease had ended")] = (
        False
    )
    min_labels: Annotated[int, Field(ge=1, description="leave out items with fewer judgements")] = 1
    overwrite: Annotated[bool, Field(description="replace an earlier export in the folder")] = False


@dataclass(frozen=True)
class ExportReport:
    """What was written.

    Attributes:
        rows: by file.
        left_out: how many of what, by the reason in words.
    """

    folder: Path
    rows: dict[str, int]
    left_out: dict[str, int]
    manifest: dict[str, Any]
