"""RLHF suite: learning from human feedback, from instruction data to a policy that people prefer.

`PPOTrainer` and `PPOConfig` have the constructor and the options of TRL 1.12's. They are loaded when asked for.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rlhf.trainers.ppo.trl_compat import PPOConfig, PPOTrainer

__version__ = "0.1.0"
__all__ = ["PPOConfig", "PPOTrainer", "__version__"]

# Where a public class lies: `import rlhf` loads no torch.
_HOMES = {"PPOConfig": "rlhf.trainers.ppo.trl_compat", "PPOTrainer": "rlhf.trainers.ppo.trl_compat"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
