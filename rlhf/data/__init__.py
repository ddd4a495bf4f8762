"""Data: the contract, its readers and checks, splits, what a model sees of a row. Loads no torch."""

from rlhf.data.labels import LabelSource, label_ids, open_label_source
from rlhf.data.readers import load_dataset, load_rows, read_rows, to_dataset
from rlhf.data.schema import KINDS, Kind, Place, Problem, Row
from rlhf.data.sources import source_files

__all__ = [
    "KINDS",
    "Kind",
    "LabelSource",
    "Place",
    "Problem",
    "Row",
    "label_ids",
    "load_dataset",
    "load_rows",
    "open_label_source",
    "read_rows",
    "source_files",
    "to_dataset",
]
