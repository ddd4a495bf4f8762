"""The options of the recipes that neither a model nor a trainer has: which data, and where the run goes."""

from dataclasses import dataclass, field
from pathlib import Path

from rlhf.data import Kind, Row, label_ids, load_rows, open_label_source, source_files
from rlhf.data.labels import is_label_source
from rlhf.errors import ConfigError


@dataclass(frozen=True)
class TrainingRows:
    """Validated rows, and what the manifest says of their origin."""

    train: list[Row]
    evaluation: list[Row] | None
    files: list[Path]
    label_ids: list[str]


@dataclass
class DataOptions:
    """Which rows are trained on and which are held out."""

    dataset_name: str = field(metadata={"help": "The training data: a file, a folder, a hub id or a label source."})
    dataset_train_split: str = field(
        default="train", metadata={"help": "The split of a folder or hub data set to train on."}
    )
    eval_dataset_name: str | None = field(
        default=None, metadata={"help": "Held-out data, measured on at the end and as eval_strategy says."}
    )
    dataset_test_split: str = field(
        default="train", metadata={"help": "The split of `eval_dataset_name` to measure on (`test` of a hub data set)."}
    )
    max_train_samples: int | None = field(default=None, metadata={"help": "Train on only the first so many rows."})
    max_eval_samples: int | None = field(default=None, metadata={"help": "Measure on only the first so many rows."})
    overwrite_output_dir: bool = field(
        default=False, metadata={"help": "Remove an earlier run that lies in output_dir."}
    )

    def __post_init__(self) -> None:
        limits = {"max_train_samples": self.max_train_samples, "max_eval_samples": self.max_eval_samples}
        problems = [f"{name}: expected 1 or more, got {n}" for name, n in limits.items() if n is not None and n < 1]
        if problems:
            raise ConfigError(
                "Data options are out of range.", problems=problems, remedy="Leave them out to use all rows."
            )

    def load(self, kind: Kind) -> TrainingRows:
        """Read and validate all rows of one kind.

        Raises:
            DataError: a source is missing or empty, or has bad rows, which are all listed.
        """
        train = load_rows(self.dataset_name, kind, split=self.dataset_train_split, limit=self.max_train_samples)
        files = self._files(self.dataset_name, self.dataset_train_split)
        evaluation: list[Row] | None = None
        if self.eval_dataset_name is not None:
            split = self.dataset_test_split
            evaluation = load_rows(self.eval_dataset_name, kind, split=split, limit=self.max_eval_samples)
            files += self._files(self.eval_dataset_name, split)
        return TrainingRows(train, evaluation, files, label_ids(train))

    @staticmethod
    def _files(source: str, split: str) -> list[Path]:
        return open_label_source(source).files() if is_label_source(source) else source_files(source, split)
