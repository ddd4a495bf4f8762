"""TRL's GRPO and RLOO trainers, on PPO's terms.

TRL makes the rollouts, compares the answers to each prompt and takes the steps. What is ours makes a run comparable
with PPO's: the same stop tokens, sampling from the full distribution, the same rewards and penalty, the KL of a whole
response among the metrics, and checkpoints that are whole and resumed exactly.
"""

from collections.abc import Sequence
from typing import Any

import torch
from datasets import Dataset
from peft import PeftModel
from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainerCallback
from trl.trainer import grpo_trainer, rloo_trainer

from rlhf.generation import ends_of_turn, ready_to_generate
from rlhf.models.load import align_pad_token
from rlhf.models.scoring import bare
from rlhf.rewards import Reward
from rlhf.trainers.checkpoints import SavesWholeCheckpoints
from rlhf.trainers.groups.rewards import PENALTY, reward_functions
from rlhf.trainers.rollout_steps import EpochSampler, require_a_rollout


class GroupTrainer(SavesWholeCheckpoints):
    """What is laid over both of TRL's trainers."""

    args: Any
    _metrics: Any

    def __init__(
        self,
        model: PreTrainedModel | PeftModel,
        rewards: Sequence[Reward],
        weights: Sequence[float],
        args: Any,
        processing_class: PreTrainedTokenizerBase,
        train_dataset: Dataset,
        eval_dataset: Dataset | None = None,
        callbacks: list[TrainerCallback] | None = None,
    ):
        """
        Args:
            model: what is trained. A copy of its adapter, frozen, becomes the reference.
            rewards, weights: what a completion is scored with.
            args: `GRPOConfig` or `RLOOConfig`.
            processing_class: the policy's tokenizer; its pad token differs from EOS.
            train_dataset: prompts in a column `prompt`; other columns go to reward functions.
            eval_dataset: held-out prompts.
            callbacks: further Trainer callbacks.

        Raises:
            ConfigError: when the data set is smaller than one rollout.
        """
        require_a_rollout(
            len(train_dataset),
            args.prompts_per_rollout,
            remedy="lower per_device_train_batch_size or steps_per_generation, or raise num_generations.",
        )
        align_pad_token(model, processing_class)
        stops = ends_of_turn(model, processing_class)
        bare(model).generation_config.eos_token_id = stops
        functions = reward_functions(rewards, stops, args.missing_eos_penalty)
        args.reward_weights = [*weights, *[1.0] * (len(functions) - len(rewards))]
        start = {name: weight.detach().clone() for name, weight in _adapters(model)}
        loose: Any = super()
        loose.__init__(
            model=model,
            reward_funcs=functions,
            args=args,
            processing_class=processing_class,
            train_dataset=train_dataset,
            eval_dataset=eval_dataset,
            callbacks=callbacks,
        )
        # TRL rounds an adapter on a quantized base to bfloat16: it would begin beside its reference.
        for name, weight in _adapters(model):
            if weight.dtype != start[name].dtype:
                weight.data = start[name].to(weight.device)

    def _get_train_sampler(self, dataset: Dataset | None = None) -> Any:
        """TRL's order of the prompts in the first epoch; a resume finds that of later ones again too."""
        loose: Any = super()
        made = loose._get_train_sampler(dataset)
        if not made.shuffle:
            return made
        return EpochSampler(
            made.data_source,
            mini_repeat_count=made.mini_repeat_count,
            batch_size=made.batch_size,
            repeat_count=made.repeat_count,
            seed=made.seed,
        )

    def _generate_single_turn(self, *args: Any, **kwargs: Any) -> Any:
        """Sample as PPO does: without dropout or the sampling settings that a model folder may bring."""
        loose: Any = super()
        if self.args.use_vllm:
            return loose._generate_single_turn(*args, **kwargs)
        with ready_to_generate(bare(self.accelerator.unwrap_model(self.model))):
            return loose._generate_single_turn(*args, **kwargs)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add PPO's figures to TRL's, under PPO's names."""
        is_training = bool(self.model.training)  # type: ignore[union-attr]
        metrics = self._metrics["train" if is_training else "eval"]
        if metrics.get("reward"):
            self._add_figures(metrics)
            if is_training:
                logs["episode"] = round(self.state.global_step * self.args.responses_per_step)
        super().log(logs, start_time)

    def _add_figures(self, metrics: Any) -> None:
        penalty = metrics.get(f"rewards/{PENALTY}/mean") or [0.0] * len(metrics["reward"])
        metrics["objective/scores_before_penalty"] = [a - b for a, b in zip(metrics["reward"], penalty, strict=True)]
        # TRL's KL is per token, over the tokens of the loss; masked responses are not among these.
        if metrics.get("kl") and not self.args.mask_truncated_completions:
            metrics["objective/kl"] = [_mean(metrics["kl"]) * _mean(metrics["completions/mean_length"])]


class GRPOTrainer(GroupTrainer, grpo_trainer.GRPOTrainer):
    """Group relative policy optimization: an advantage is a reward's distance from the mean of its group."""


class RLOOTrainer(GroupTrainer, rloo_trainer.RLOOTrainer):
    """REINFORCE leave-one-out: an advantage is a reward's distance from the mean of the others in its group."""


def _adapters(model: torch.nn.Module) -> list[tuple[str, torch.nn.Parameter]]:
    """What is trained of a model whose other weights are frozen; nothing of one that is trained whole."""
    if not isinstance(model, PeftModel):
        return []
    return [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
