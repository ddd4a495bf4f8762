"""What `report_to` names, made ready before anything is loaded."""

import importlib.util
import netrc
import os

from accelerate import PartialState
from transformers import TrainingArguments

from rlhf.errors import MissingDependencyError

PACKAGES = {"wandb": "wandb", "tensorboard": "tensorboard", "trackio": "trackio"}
WANDB_HOST = "api.wandb.ai"


def prepare_trackers(args: TrainingArguments) -> None:
    """Check that the trackers are installed; let wandb write to disk where nobody is logged in.

    Raises:
        MissingDependencyError: for a tracker that isn't installed.
    """
    for tracker in args.report_to or []:
        package = PACKAGES.get(tracker)
        if package is not None and importlib.util.find_spec(package) is None:
            raise MissingDependencyError(package, "trackers", f"report_to={tracker}")
    if "wandb" in (args.report_to or []) and "WANDB_MODE" not in os.environ and not _logged_in():
        os.environ["WANDB_MODE"] = "offline"
        PartialState().print("wandb: nobody is logged in; the run is kept in wandb/ and can be sent by `wandb sync`.")


def _logged_in() -> bool:
    if os.environ.get("WANDB_API_KEY"):
        return True
    try:
        return netrc.netrc().authenticators(WANDB_HOST) is not None
    except (OSError, netrc.NetrcParseError):
        return False
