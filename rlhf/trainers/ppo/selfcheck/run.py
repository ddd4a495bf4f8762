"""Running the checks: an exception in one is that check's failure, not the end."""

import time
import traceback
from dataclasses import replace
from pathlib import Path

import torch

from rlhf.errors import RlhfError
from rlhf.trainers.ppo.selfcheck.evidence import CheckResult, Failure, NotApplicable, NotRun
from rlhf.trainers.ppo.selfcheck.registry import Check
from rlhf.trainers.ppo.selfcheck.subject import Subject


def run_check(subject: Subject, check: Check) -> CheckResult:
    """Make one check, whatever happens in it."""
    started = time.monotonic()
    result = _look(subject, check)
    return replace(result, seconds=time.monotonic() - started)


def _look(subject: Subject, check: Check) -> CheckResult:
    name, statement = check.name, check.statement
    try:
        evidence = check.look(subject)
    except NotApplicable as why:
        return CheckResult(name, statement, "not applicable", note=str(why))
    except NotRun as why:
        return CheckResult(name, statement, "not run", note=str(why))
    except Failure as failure:
        return CheckResult(name, statement, "failed", reason=failure.reason, remedy=failure.remedy)
    except RlhfError as error:
        reason = "\n".join([error.message, *(f"- {problem}" for problem in error.problems)])
        return CheckResult(name, statement, "failed", reason=reason, remedy=error.remedy)
    except Exception as error:  # the user's model may raise anything
        return CheckResult(name, statement, "failed", reason=_in_one_line(error), remedy=_remedy_of(error))
    if isinstance(evidence, str):
        return CheckResult(name, statement, "passed", note=evidence)
    bad = next((one for one in evidence if not one.holds), None)
    if bad is None:
        return CheckResult(name, statement, "passed", measured=tuple(evidence))
    return CheckResult(name, statement, "failed", measured=tuple(evidence), reason=bad.reason, remedy=bad.remedy)


def _in_one_line(error: Exception) -> str:
    """The error and where it arose: a model's own code is often the place."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    text = str(error).strip().splitlines()
    said = f": {text[0]}" if text else ""
    return f"{type(error).__name__}{said} ({Path(frame.filename).name}, line {frame.lineno})"


def _remedy_of(error: Exception) -> str:
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return "Free memory, or use --tuning qlora or --dtype bfloat16; PPO itself needs more than this check."
    return "The model can't do what PPO asks of it here; the line named is where to look."
