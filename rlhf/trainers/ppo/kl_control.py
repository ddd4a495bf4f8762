"""The coefficient of the KL penalty: fixed, or steered towards a target."""

from dataclasses import dataclass


@dataclass
class KLController:
    """The KL coefficient of a run.

    With a target it follows Ziegler et al. (arXiv 1909.08593, section 2.2): a proportional controller on the relative
    error, clipped to 0.2, over a horizon counted in episodes.

    Attributes:
        coefficient: the present weight of the penalty.
        target: KL per sequence in nats; None keeps the coefficient fixed.
        horizon: episodes over which an error of 20% changes the coefficient by a factor of about 1.2.
    """

    coefficient: float
    target: float | None = None
    horizon: int = 10_000

    def update(self, kl: float, episodes: int) -> None:
        """Adjust to the mean KL per sequence that was seen over so many episodes."""
        if self.target is None:
            return
        error = min(max(kl / self.target - 1, -0.2), 0.2)
        self.coefficient *= 1 + error * episodes / self.horizon
