"""The options of an evaluation."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from rlhf.data import source_files
from rlhf.errors import ConfigError

POLICY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


@dataclass
class EvaluationOptions:
    """Which policies are compared, on what, and by whom they are judged."""

    policies: dict[str, str | None] = field(
        metadata={"help": "Name and place of each policy: an adapter folder, a model, or null for the bare base."}
    )
    prompt_dataset: str = field(metadata={"help": "Held-out prompts that every policy answers."})
    reward_model: str = field(
        metadata={"help": "The reward that the policies were trained against (a folder or name)."}
    )
    output_dir: str = field(metadata={"help": "Folder of this evaluation: its raw rows, manifest and report."})
    report_dir: str | None = field(
        default=None, metadata={"help": "Where report.json and report.html go; output_dir by default."}
    )
    reference: str = field(
        default="sft", metadata={"help": "The policy that KL, gains and win rates are measured from."}
    )
    base: str = field(default="base", metadata={"help": "The policy that forgetting is measured from, if it is there."})
    gold_reward_model: str | None = field(
        default=None, metadata={"help": "A reward model that no policy was trained against, as an independent judge."}
    )
    judge: str | None = field(
        default="lexicon", metadata={"help": "Another independent judge: `lexicon`, package.module:function, or null."}
    )
    preference_dataset: str | None = field(
        default=None, metadata={"help": "Held-out comparisons by people, for the accuracy of the reward model."}
    )
    general_dataset: str | None = field(
        default=None, metadata={"help": "General texts, whose perplexity shows what a policy has forgotten."}
    )
    curves: dict[str, list[str]] = field(
        default_factory=dict,
        metadata={"help": "Policies that are checkpoints of one run, by a name for their reward-KL curve."},
    )
    kl_targets: list[float] = field(
        default_factory=lambda: [5.0, 9.0], metadata={"help": "KLs at which gains are read off, nats per response."}
    )
    best_of: list[int] = field(
        default_factory=list,
        metadata={
            "help": "For each n here, the reference's best of n responses by `reward_model` is measured too, as a "
            "baseline. The reference answers each prompt as many times more as the largest n says."
        },
    )
    num_prompts: int = field(default=512, metadata={"help": "Prompts answered, drawn from the data set by the seed."})
    num_comparisons: int | None = field(default=None, metadata={"help": "Comparisons used; all by default."})
    num_general_texts: int = field(default=128, metadata={"help": "General texts read by every policy."})
    max_new_tokens: int = field(default=24, metadata={"help": "Longest response."})
    temperature: float = field(default=1.0, metadata={"help": "Sampling temperature, above 0."})
    generation_batch_size: int = field(default=64, metadata={"help": "Prompts answered at a time."})
    scoring_batch_size: int = field(default=32, metadata={"help": "Sequences scored at a time."})
    seed: int = field(default=42, metadata={"help": "Of the samples, of the choice of prompts, and of the bootstrap."})
    stages: str | None = field(
        default=None, metadata={"help": 'A JSON file {"stage": seconds} of the stages before; left out if missing.'}
    )
    overwrite_output_dir: bool = field(default=False, metadata={"help": "Replace an earlier evaluation."})

    def __post_init__(self) -> None:
        problems = [*self._problems()]
        if problems:
            raise ConfigError("The options of the evaluation don't fit together.", problems=problems)

    def _problems(self) -> list[str]:
        known = ", ".join(self.policies)
        unknown = {name for names in self.curves.values() for name in names} - set(self.policies)
        taken = {*self.best_of_policies, self.best_of_curve} & {*self.policies, *self.curves}
        small = [name for name in ("num_prompts", "num_general_texts") if getattr(self, name) < 2]
        checks = {
            f"reference: no policy is called {self.reference!r} (there are {known})": self.reference in self.policies,
            f"curves: no policy is called {', '.join(sorted(unknown))} (there are {known})": not unknown,
            f"{' and '.join(small)}: at least 2 are needed for an interval": not small,
            "best_of: each n has to be at least 2": all(n >= 2 for n in self.best_of),
            "best_of: an n stands there twice": len(set(self.best_of)) == len(self.best_of),
            f"best_of: {', '.join(sorted(taken))} is the name of a policy or curve already": not taken,
            "temperature: has to be above 0": self.temperature > 0,
            "max_new_tokens: has to be at least 1": self.max_new_tokens >= 1,
            f"output_dir: {self.output_dir} holds the runs that are evaluated": not self._holds_a_model(),
        }
        names = [
            f"policies: {name!r} is not a name (letters, digits, - and _)"
            for name in self.policies
            if not POLICY_NAME.fullmatch(name)
        ]
        return names + [problem for problem, fine in checks.items() if not fine]

    def _holds_a_model(self) -> bool:
        """Whether overwriting the output would remove what is evaluated."""
        out = Path(self.output_dir).resolve()
        places = (*self.policies.values(), self.reward_model, self.gold_reward_model)
        return any(out == place or out in place.parents for place in (Path(p).resolve() for p in places if p))

    @property
    def best_of_policies(self) -> dict[str, int]:
        """n by the name under which the reference's best of n responses are reported."""
        return {f"{self.reference}_best_of_{n}": n for n in self.best_of}

    @property
    def best_of_curve(self) -> str:
        """The name of the curve through all of them."""
        return f"{self.reference}_best_of_n"

    @property
    def measured(self) -> list[str]:
        """Everything that is reported like a policy, in the order of the report."""
        return [*self.policies, *self.best_of_policies]

    @property
    def all_curves(self) -> dict[str, list[str]]:
        """The curves given; every other trained policy is a curve of its own, from the reference to it.

        The best of n for all n are one more.
        """
        on_curves = {name for names in self.curves.values() for name in names}
        alone = [name for name in self.policies if name not in {self.reference, self.base} | on_curves]
        best_of = {self.best_of_curve: [*self.best_of_policies]} if self.best_of else {}
        return dict(self.curves) | {name: [name] for name in alone} | best_of

    @property
    def data_files(self) -> list[Path]:
        """The local files that are read, for their checksums."""
        sources = (self.prompt_dataset, self.preference_dataset, self.general_dataset)
        return [file for source in sources if source is not None for file in source_files(source)]
