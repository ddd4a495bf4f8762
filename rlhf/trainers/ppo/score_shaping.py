"""Scores brought to a common scale before they become rewards."""

from dataclasses import asdict, dataclass

import torch

from rlhf.trainers.ppo.advantages import Reduce, own_process


@dataclass
class ScoreShaper:
    """Divides scores by their running standard deviation, may shift them to mean 0, and clips them.

    The scale of a reward model is arbitrary, and so then is what a `kl_coef` means; a running scale makes it a property
    of the task. Options and order are those of TRL's PPO before 0.12; clipping follows normalization.

    Attributes:
        scaling: whether to divide by the running standard deviation.
        norm: whether to subtract the running mean too.
        clip: scores are held within ± this number; None leaves them.
        count, mean, squares: of the scores seen so far: their number, mean, and sum of squared deviations.
    """

    scaling: bool = False
    norm: bool = False
    clip: float | None = None
    count: float = 0.0
    mean: float = 0.0
    squares: float = 0.0

    def __call__(self, scores: torch.Tensor, sum_over_processes: Reduce = own_process) -> torch.Tensor:
        """Take scores [B] into the statistics and return them shaped, [B]."""
        if self.scaling:
            self._update(scores, sum_over_processes)
            scores = (scores - self.mean if self.norm else scores) / self.deviation
        if self.clip is not None:
            scores = scores.clamp(-self.clip, self.clip)
        return scores

    @property
    def deviation(self) -> float:
        """Standard deviation of the scores so far; 1 where they don't differ."""
        variance = self.squares / max(self.count - 1, 1)
        return variance**0.5 if variance > 0 else 1.0

    def _update(self, scores: torch.Tensor, sum_over_processes: Reduce) -> None:
        """Chan et al.'s update of a mean and a sum of squares by a batch."""
        scores = scores.double()
        count, total = sum_over_processes(torch.stack([torch.ones_like(scores).sum(), scores.sum()])).tolist()
        mean = total / count
        squares = float(sum_over_processes(((scores - mean) ** 2).sum()))
        all_seen, gap = self.count + count, mean - self.mean
        self.squares += squares + gap**2 * self.count * count / all_seen
        self.mean += gap * count / all_seen
        self.count = all_seen

    def state(self) -> dict[str, float]:
        """What a resume needs."""
        return {name: value for name, value in asdict(self).items() if name in ("count", "mean", "squares")}

    def load_state(self, state: dict[str, float]) -> None:
        self.count, self.mean, self.squares = state["count"], state["mean"], state["squares"]
