"""Everything that an evaluation measures, stage by stage: what needs the models is done here, and nothing else is."""

import random
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any

from peft import PeftModel
from transformers import PreTrainedTokenizerBase

from rlhf.data import Kind, Row, load_rows
from rlhf.data.messages import as_reply
from rlhf.errors import DataError
from rlhf.evaluation.best_of_n import best_rows, draw_candidates
from rlhf.evaluation.options import EvaluationOptions
from rlhf.evaluation.policies import Policies, Sampling, answer, log_ratios, text_losses
from rlhf.evaluation.progress import Progress, progress_bar
from rlhf.evaluation.reward_model import ScoredPair, count_texts, score_comparisons, score_texts
from rlhf.evaluation.samples import SCORES, Sample, TextLoss
from rlhf.generation import Generation
from rlhf.models.adapters import answering
from rlhf.models.folders import check_adapter_folder, check_model_folder, is_adapter_folder
from rlhf.models.load import ModelOptions, load_tokenizer
from rlhf.rewards import LexiconReward, Reward, load_reward
from rlhf.rewards.function import DOTTED_NAME


@dataclass(frozen=True)
class EvaluationData:
    """The rows that an evaluation uses, after the draw."""

    prompts: Sequence[Row]
    comparisons: Sequence[Row] = ()
    general: Sequence[Row] = ()

    @classmethod
    def load(cls, options: EvaluationOptions) -> "EvaluationData":
        """Read and validate all rows, and draw those that are used.

        Raises:
            DataError: a source is missing or empty, has bad rows, or too few prompts for an interval.
        """

        def rows(source: str | None, kind: Kind, count: int | None) -> Sequence[Row]:
            return draw(load_rows(source, kind), count, options.seed) if source else ()

        prompts = rows(options.prompt_dataset, "prompts", options.num_prompts)
        general = rows(options.general_dataset, "text", options.num_general_texts)
        for source, used in ((options.prompt_dataset, prompts), (options.general_dataset, general)):
            if len(used) == 1:
                raise DataError(f"{source} has one row: an interval needs at least two.", remedy="Use more data.")
        return cls(prompts, rows(options.preference_dataset, "preference", options.num_comparisons), general)


@dataclass
class Measurements:
    """The raw rows, and the seconds that each part took."""

    samples: list[Sample] = field(default_factory=list)
    losses: list[TextLoss] = field(default_factory=list)
    pairs: list[ScoredPair] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[part] = round(self.seconds.get(part, 0.0) + time.perf_counter() - start, 1)


def draw(rows: Sequence[Row], count: int | None, seed: int) -> Sequence[Row]:
    """`count` rows at random, in their order; all where there are no more."""
    if count is None or count >= len(rows):
        return rows
    return [rows[position] for position in sorted(random.Random(seed).sample(range(len(rows)), count))]


def check_judges(options: EvaluationOptions) -> None:
    """Check that every judge can be had before a weight is read.

    Raises:
        ConfigError, ModelError, MissingDependencyError: one can't.
    """
    for spec in judges(options).values():
        if is_adapter_folder(spec):
            check_adapter_folder(spec)
        elif spec == LexiconReward.name or (DOTTED_NAME.match(spec) and not Path(spec).exists()):
            load_reward(spec)
        else:
            check_model_folder(spec)


def measure(options: EvaluationOptions, model_options: ModelOptions, data: EvaluationData) -> Measurements:
    """Run all models over the data. One progress bar shows the time left."""
    found = Measurements()
    with progress_bar(count_sequences(options, data)) as progress:
        rows, candidates = _answers(options, model_options, data, found, progress)
        rows += _judge(rows, candidates, options, data, found, progress)
    found.samples = [Sample(**row) for row in rows]
    return found


def count_sequences(options: EvaluationOptions, data: EvaluationData) -> int:
    """Sequences to generate or to score, for the progress bar."""
    policies, prompts = len(options.policies), len(data.prompts)
    reading = policies * len(data.general) + (policies - 1) * prompts
    # Candidates are drawn and scored by the reward model; those that are kept go to the other judges.
    best_of = prompts * (2 * max(options.best_of, default=0) + len(options.best_of) * (len(judges(options)) - 1))
    return policies * prompts * (1 + len(judges(options))) + reading + best_of + count_texts(data.comparisons)


def judges(options: EvaluationOptions) -> dict[str, str]:
    """The rewards that score each answer, by the field of a sample that holds the score."""
    specs = {"reward": options.reward_model, "gold_reward": options.gold_reward_model, "judge": options.judge}
    return {name: spec for name, spec in specs.items() if spec is not None}


def _answers(
    options: EvaluationOptions,
    model_options: ModelOptions,
    data: EvaluationData,
    found: Measurements,
    progress: Progress,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What all policies answer: samples without scores.

    Returns:
        A row for each policy and prompt, with the log-ratio to the reference; and the candidates for the reference's
        best of n, in the order of `draw_candidates`.
    """
    progress.stage("loading the policies")
    tokenizer = load_tokenizer(str(model_options.model_name_or_path))
    policies = Policies(model_options, options.policies)
    sampling = Sampling(
        options.max_new_tokens,
        options.temperature,
        options.seed,
        options.generation_batch_size,
        options.scoring_batch_size,
    )
    prompts = [row["prompt"] for row in data.prompts]
    texts = [str(row["text"]) for row in data.general]
    answers: dict[str, list[Generation]] = {}
    candidates: list[Generation] = []
    for name in options.policies:
        with policies.use(name) as model:
            progress.stage(f"{name} answers")
            with found.timed("answers"):
                answers[name] = answer(model, tokenizer, prompts, sampling, progress)
            if name == options.reference and options.best_of:
                progress.stage(f"{name} draws candidates")
                with found.timed("best of n"):
                    n = max(options.best_of)
                    candidates = draw_candidates(model, tokenizer, prompts, n, sampling, progress)
            progress.stage(f"{name} reads general text")
            with found.timed("general text"):
                found.losses += text_losses(name, model, tokenizer, texts, sampling, progress)
    with found.timed("KL"):
        pad = int(tokenizer.pad_token_id)
        ratios = log_ratios(answers, options.reference, policies, pad, sampling, progress)
    rows = [
        {"policy": name, "log_ratio": ratio, **row}
        for name, generations in answers.items()
        for ratio, row in zip(ratios[name], _as_rows(tokenizer, prompts, generations), strict=True)
    ]
    return rows, _as_rows(tokenizer, prompts, candidates)


def _as_rows(
    tokenizer: PreTrainedTokenizerBase, prompts: Sequence[Any], answers: Sequence[Generation]
) -> list[dict[str, Any]]:
    """Answers to all N prompts, once or several times round, as fields of samples."""
    rounds = zip(cycle(enumerate(prompts)), answers, strict=False)
    return [{"prompt_index": i, **_as_row(tokenizer, prompt, one)} for (i, prompt), one in rounds]


def _as_row(tokenizer: PreTrainedTokenizerBase, prompt: Any, answer: Generation) -> dict[str, Any]:
    return {
        "prompt": prompt if isinstance(prompt, str) else "\n".join(f"{m['role']}: {m['content']}" for m in prompt),
        "completion": str(tokenizer.decode(answer.response_ids, skip_special_tokens=True)),
        "tokens": len(answer.response_ids),
        "finished": answer.finished,
    }


def _judge(
    rows: Sequence[dict[str, Any]],
    candidates: Sequence[dict[str, Any]],
    options: EvaluationOptions,
    data: EvaluationData,
    found: Measurements,
    progress: Progress,
) -> list[dict[str, Any]]:
    """Let each judge in turn score all answers; the reward model scores comparisons and candidates too.

    Returns:
        The best of the candidates by the reward model, scored by all judges: a row for each n and prompt.
    """
    best: list[dict[str, Any]] = []
    for judge, spec in judges(options).items():
        progress.stage(f"loading the {SCORES[judge]}")
        reward = load_reward(spec, batch_size=options.scoring_batch_size)
        with found.timed(f"scores: {SCORES[judge]}"), _folded(reward):
            if judge == "reward" and data.comparisons:
                progress.stage("reward model scores comparisons")
                found.pairs = score_comparisons(reward, data.comparisons, progress)
            progress.stage(f"{SCORES[judge]} scores answers")
            _add_scores(judge, reward, [*rows, *(candidates if judge == "reward" else best)], data, progress)
        if judge == "reward":
            best = best_rows(candidates, len(data.prompts), options.best_of_policies)
    return best


def _add_scores(
    judge: str, reward: Reward, rows: Sequence[dict[str, Any]], data: EvaluationData, progress: Progress
) -> None:
    prompts = [data.prompts[row["prompt_index"]]["prompt"] for row in rows]
    texts = [(prompt, as_reply(prompt, row["completion"])) for prompt, row in zip(prompts, rows, strict=True)]
    for row, score in zip(rows, score_texts(reward, texts, progress), strict=True):
        row[judge] = score


def _folded(reward: Reward) -> AbstractContextManager[None]:
    """A reward model's adapter folded into its weights, where it has one."""
    model = getattr(reward, "model", None)
    return answering(model, model.active_adapter) if isinstance(model, PeftModel) else nullcontext()
