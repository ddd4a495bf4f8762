"""Batches of comparisons of similar length, for TRL's trainers on pairs: `train_sampling_strategy: group_by_length`."""

from typing import Any

from transformers import Trainer
from trl.trainer.dpo_trainer import DPOTrainer


class GroupsPairsByLength(Trainer):
    """Gives each tokenized pair a column with the tokens of its longer sequence, by which the Trainer groups."""

    def _prepare_dataset(self, dataset: Any, processing_class: Any, args: Any, dataset_name: str) -> Any:
        loose: Any = super()
        prepared = loose._prepare_dataset(dataset, processing_class, args, dataset_name)
        if args.length_column_name in prepared.column_names:
            return prepared
        return prepared.add_column(args.length_column_name, [_tokens(row) for row in prepared])

    def _set_signature_columns_if_needed(self) -> None:
        super()._set_signature_columns_if_needed()
        columns: Any = self._signature_columns
        if self.args.length_column_name not in columns:
            columns.append(self.args.length_column_name)


class LengthGroupedDPOTrainer(GroupsPairsByLength, DPOTrainer):
    """TRL's DPOTrainer, which has no lengths to group by."""


def _tokens(row: dict[str, Any]) -> int:
    """Tokens of the longer sequence of a pair; DPO keeps the prompt apart."""
    return len(row.get("prompt_ids") or []) + max(len(row["chosen_ids"]), len(row["rejected_ids"]))
