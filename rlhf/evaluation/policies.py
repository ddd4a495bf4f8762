"""Let every policy answer the same prompts, and measure its answers.

All policies that are adapters share one base in memory. In float32 an adapter is folded into the weights while its
policy answers, which is faster; in lower precision it stays beside them, as rounding the sum would change the
log-probabilities.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from accelerate.state import PartialState
from peft import PeftModel
from torch import nn
from transformers import PreTrainedTokenizerBase

from rlhf.errors import ModelError
from rlhf.evaluation.progress import Progress, longest_first
from rlhf.evaluation.samples import TextLoss
from rlhf.generation import Generation, generate
from rlhf.models.adapters import answering
from rlhf.models.folders import check_adapter_folder, check_model_folder, is_adapter_folder
from rlhf.models.load import ModelOptions, load_causal_lm
from rlhf.models.scoring import sequence_logprobs

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sampling:
    """How policies answer, and how many sequences go through a model at a time."""

    max_new_tokens: int
    temperature: float
    seed: int
    generation_batch_size: int
    scoring_batch_size: int


class Policies:
    """The policies by name, each an adapter on the shared base, the bare base, or a whole model of its own.

    Args:
        options: names the base model and its precision.
        places: for each policy its adapter folder, its model folder or hub id, or None for the bare base.
    """

    def __init__(self, options: ModelOptions, places: Mapping[str, str | None]):
        self.options = options
        self.places = dict(places)
        adapters = {name: place for name, place in places.items() if place is not None and is_adapter_folder(place)}
        base = _on_device(load_causal_lm(options), options)
        for name, place in adapters.items():
            if isinstance(base, PeftModel):
                base.load_adapter(place, adapter_name=name)
            else:
                base = PeftModel.from_pretrained(base, place, adapter_name=name)
        self._shared = base.eval()
        self._adapters = adapters

    @contextmanager
    def use(self, name: str) -> Iterator[nn.Module]:
        """The model of one policy, ready to answer; a whole model is loaded for the block only."""
        place = self.places[name]
        if place is not None and name not in self._adapters:
            yield _on_device(
                load_causal_lm(replace(self.options, model_name_or_path=place, adapter=None)), self.options
            )
            return
        adapter = name if name in self._adapters else None
        with answering(self._shared, adapter):
            yield self._shared


def check_places(base: str, places: Mapping[str, str | None]) -> None:
    """Check all folders before a weight is read.

    Raises:
        ModelError: a folder that is missing, incomplete, or neither a model nor an adapter.
    """
    check_model_folder(base)
    for name, place in places.items():
        if place is None:
            continue
        if not is_adapter_folder(place):
            check_model_folder(place)
            continue
        trained_on = check_adapter_folder(place)["base_model_name_or_path"]
        if Path(trained_on).resolve() != Path(base).resolve():
            logger.warning("policy %s (%s) was trained on %s, and is evaluated on %s.", name, place, trained_on, base)


def _on_device(model: Any, options: ModelOptions) -> Any:
    return model if options.load_in_4bit or options.load_in_8bit else model.to(PartialState().device)


def answer(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Any],
    sampling: Sampling,
    progress: Progress,
    *,
    first_row: int = 0,
) -> list[Generation]:
    """One response to each prompt, in their order.

    A prompt's random numbers are its own, the same for every policy; with another `first_row`, the number of the first
    prompt, they are others.
    """
    answers: dict[int, Generation] = {}
    batches = longest_first([len(str(prompt)) for prompt in prompts], sampling.generation_batch_size)
    for positions in batches:
        batch = generate(
            model,
            tokenizer,
            [prompts[position] for position in positions],
            max_new_tokens=sampling.max_new_tokens,
            temperature=sampling.temperature,
            seed=sampling.seed,
            rows=[first_row + position for position in positions],
            batch_size=len(positions),
        )
        answers |= dict(zip(positions, batch, strict=True))
        progress.done(len(positions))
    return [answers[position] for position in range(len(prompts))]


def log_likelihoods(
    model: nn.Module,
    sequences: Sequence[tuple[Sequence[int], Sequence[int]]],
    pad_token_id: int,
    sampling: Sampling,
    progress: Progress,
    *,
    temperature: float = 1.0,
) -> list[float]:
    """Summed log-probability of each response (ids) after its prompt (ids)."""
    sums: dict[int, float] = {}
    for positions in longest_first([len(p) + len(r) for p, r in sequences], sampling.scoring_batch_size):
        rows = sequence_logprobs(
            model,
            [sequences[position] for position in positions],
            pad_token_id=pad_token_id,
            temperature=temperature,
            batch_size=len(positions),
        )
        sums |= {position: sum(row) for position, row in zip(positions, rows, strict=True)}
        progress.done(len(positions))
    return [sums[position] for position in range(len(sequences))]


def text_losses(
    policy: str,
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    sampling: Sampling,
    progress: Progress,
) -> list[TextLoss]:
    """How well a policy predicts general texts, each text's first token given. Texts of one token are left out."""
    ids = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
    kept = [index for index, row in enumerate(ids) if len(row) > 1]
    sequences = [(ids[index][:1], ids[index][1:]) for index in kept]
    sums = log_likelihoods(model, sequences, int(tokenizer.pad_token_id), sampling, progress)
    progress.done(len(texts) - len(kept))
    return [
        TextLoss(policy, index, -logprob, len(response))
        for index, logprob, (_, response) in zip(kept, sums, sequences, strict=True)
    ]


def log_ratios(
    answers: Mapping[str, Sequence[Generation]],
    reference: str,
    policies: Policies,
    pad_token_id: int,
    sampling: Sampling,
    progress: Progress,
) -> dict[str, list[float]]:
    """Log-probability of each response under its policy minus that under the reference, at the sampling temperature.

    The policy's own comes from the draw; the reference's from one forward over the same ids. For the reference itself
    it is 0. Its mean is the KL divergence, estimated from the samples.

    Raises:
        ModelError: a log-probability is not finite.
    """
    ratios = {reference: [0.0] * len(answers[reference])}
    with policies.use(reference) as model:
        for name, generations in answers.items():
            if name == reference:
                continue
            progress.stage(f"{reference} reads {name}'s answers")
            sequences = [(one.prompt_ids, one.response_ids) for one in generations]
            other = log_likelihoods(
                model, sequences, pad_token_id, sampling, progress, temperature=sampling.temperature or 1.0
            )
            ratios[name] = [sum(one.logprobs) - given for one, given in zip(generations, other, strict=True)]
            if not all(abs(ratio) < float("inf") for ratio in ratios[name]):
                raise ModelError(f"{name} gives log-probabilities that are not finite.", remedy="Retrain it.")
    return ratios
