"""An optimizer and a schedule that a script brings along."""

from typing import Any

import torch

from rlhf.errors import ConfigError
from rlhf.models.roles import Roles


def add_value_head(optimizer: torch.optim.Optimizer, roles: Roles) -> None:
    """Let a script's optimizer train the value head too, which is ours, beside the value model that it knows.

    Raises:
        ConfigError: it leaves out other parameters that are to be trained.
    """
    known = {id(parameter): group for group in optimizer.param_groups for parameter in group["params"]}
    head = list(roles.value_head.parameters())
    ours = {id(parameter) for parameter in head}
    trained = {role: [p for p in ps if id(p) not in ours] for role, ps in roles.role_parameters().items()}
    missing = {role: sum(id(p) not in known for p in ps) for role, ps in trained.items()}
    if any(missing.values()):
        raise ConfigError(
            "The optimizer leaves out parameters that are trained.",
            problems=[f"{role}: {missing[role]} of {len(ps)}" for role, ps in trained.items() if missing[role]],
            remedy="put the parameters of model and value_model into it; with peft_config, which makes new ones, leave "
            "optimizers out or wrap the model by get_peft_model first.",
        )
    of_value = next((known[id(parameter)] for parameter in trained["value"]), optimizer.param_groups[0])
    of_value["params"].extend(parameter for parameter in head if id(parameter) not in known)


class StepsOnceInRollout:
    """A learning-rate schedule counted in rollouts, under a Trainer that steps it with the optimizer."""

    def __init__(self, schedule: Any, steps_per_rollout: int):
        self.schedule = schedule
        self.steps_per_rollout = steps_per_rollout
        self.steps = 0

    def step(self) -> None:
        """Step the schedule at every so many calls."""
        self.steps += 1
        if self.steps % self.steps_per_rollout == 0:
            self.schedule.step()

    def get_last_lr(self) -> list[float]:
        """The learning rates of the optimizer's groups."""
        rates: list[float] = self.schedule.get_last_lr()
        return rates

    def state_dict(self) -> dict[str, Any]:
        return {"steps": self.steps, "schedule": self.schedule.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.steps = state["steps"]
        self.schedule.load_state_dict(state["schedule"])
