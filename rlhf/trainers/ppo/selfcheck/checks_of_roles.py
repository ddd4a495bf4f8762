"""Checks of the roles: that they can be built, that none touches another, that they are found again when loaded."""

import shutil
import zlib
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import nn

from rlhf.models.roles import PolicyAndValues, Roles, Sequences
from rlhf.models.scoring import bare
from rlhf.models.shared_roles import SharedRoles
from rlhf.trainers.ppo.selfcheck.evidence import Evidence, Failure, Measured, NotApplicable
from rlhf.trainers.ppo.selfcheck.subject import PROMPTS, Subject


def the_roles_can_be_built(subject: Subject) -> Evidence:
    """The architecture has a list of layers, and logits that are a linear function of the last hidden states."""
    roles = subject.roles()
    trained = {role: sum(p.numel() for p in parameters) for role, parameters in roles.role_parameters().items()}
    missing = [role for role, count in trained.items() if count == 0]
    if missing:
        raise Failure(
            f"The {' and '.join(missing)} role has nothing to train.",
            "Choose lora_target_modules that the model has, or leave it out for all linear layers.",
        )
    named = ", ".join(f"{role} {count:,}" for role, count in trained.items())
    return f"{type(bare(subject.causal_lm)).__name__} in {subject.tolerances.name}; trained: {named}"


@torch.no_grad()
def sampling_leaves_the_base_alone(subject: Subject) -> Evidence:
    """After sampling, for which the adapter is folded into the base, all weights are what they were, to the bit."""
    roles = subject.trainer().roles
    before = fingerprints(roles)
    subject.answer(batch_size=len(PROMPTS))
    changed = _changed(before, fingerprints(roles))
    if changed:
        raise Failure(
            f"Sampling changed {len(changed)} of {len(before)} tensors, such as {changed[0]}.",
            "A model that changes its weights in a forward can't be shared by the roles; 4-bit weights must not be "
            "packed for the CPU (keep_4bit_weights_unpacked).",
        )
    return f"{len(before)} tensors are the same to the bit"


def a_step_changes_the_trained_roles_alone(subject: Subject) -> Evidence:
    """An optimizer step changes policy and value; base, reference and reward stay as they are, to the bit."""
    roles, rollout = subject.trainer().roles, subject.rollout()  # the first rollout shifts the values
    before = fingerprints(roles)
    subject.step()
    changed = set(_changed(before, fingerprints(roles)))
    of_role = {role: {id(p) for p in parameters} for role, parameters in roles.role_parameters().items()}
    names = {role: {n for n, p in roles.named_parameters() if id(p) in ids} for role, ids in of_role.items()}
    strangers = sorted(changed - names["policy"] - names["value"])
    if strangers:
        raise Failure(
            f"A step changed {len(strangers)} tensors that no role trains, such as {strangers[0]}.",
            "A weight is shared with what is trained (tied weights, modules_to_save), or the model changes it itself "
            "in a forward: use LoRA on linear layers of the decoder only.",
        )
    idle = [role for role, own in names.items() if not own & changed]
    if idle:
        raise Failure(
            f"A step changed nothing of the {' and of the '.join(idle)} role.",
            "Its gradient is 0 or lost in its precision: train adapters, which are float32, or use --dtype float32.",
        )
    counts = ", ".join(f"{len(own & changed)} of {len(own)} tensors of the {role}" for role, own in names.items())
    with torch.no_grad():
        moved = float((roles(rollout.sequences).logprobs - rollout.logprobs).abs().max())
    return f"changed {counts} and nothing else of {len(before)}; moved log-probabilities by up to {moved:.2g}"


@torch.no_grad()
def roles_do_not_touch_each_other(subject: Subject) -> Evidence:
    """Other weights in one role change its own results and leave those of the others, to the bit."""
    roles = subject.trainer().roles
    sequences = subject.rollout().sequences.with_trunk({})
    subject.step()  # the value head begins at 0, and would hide what is beneath it
    for role in ("policy", "value"):
        before = _results(roles, sequences)
        for parameter in roles.role_parameters()[role]:
            _nudge(parameter)
        after = _results(roles, sequences)
        touched = [name for name in before if not torch.equal(before[name], after[name])]
        others = [name for name in touched if name != role]
        if others:
            raise Failure(
                f"New weights in the {role} role changed the results of: {', '.join(others)}.",
                "The roles share weights: use adapters on separate modules, without modules_to_save.",
            )
        if not touched:
            raise Failure(
                f"New weights in the {role} role changed nothing of what it computes.",
                "Its adapter is not in use: check lora_target_modules.",
            )
    return f"{', '.join(after)} answer for themselves"


@torch.no_grad()
def what_is_saved_is_what_is_loaded(subject: Subject) -> Evidence:
    """Policy and value that are saved, overwritten and loaded compute the same as before."""
    roles = subject.trainer().roles
    sequences = subject.rollout().sequences.with_trunk({})
    _require_room(roles, subject.folder)
    before = _results(roles, sequences)
    with TemporaryDirectory(dir=subject.folder) as folder:
        roles.save(Path(folder))
        for parameters in roles.role_parameters().values():
            for parameter in parameters:
                _nudge(parameter)
        overwritten = _results(roles, sequences)
        roles.load(Path(folder))
    if all(torch.equal(before[name], overwritten[name]) for name in ("policy", "value")):
        raise Failure("Other weights give the same results, so that nothing is proved.", "Check lora_target_modules.")
    after = _results(roles, sequences)
    reason = "A checkpoint lacks a part of what is trained: a resumed run would go on from elsewhere."
    remedy = "Use LoRA on linear layers of the decoder only, without modules_to_save; or report it."
    return [
        Measured(f"{name} after loading", float((before[name] - after[name]).abs().max()), 0.0, reason, remedy)
        for name in ("policy", "value")
    ]


def fingerprints(module: nn.Module) -> dict[str, int]:
    """A checksum of each parameter and buffer, by name."""
    tensors = dict(module.named_parameters()) | dict(module.named_buffers())
    return {name: _checksum(tensor) for name, tensor in tensors.items()}


def _checksum(tensor: torch.Tensor) -> int:
    return zlib.crc32(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)


def _changed(before: dict[str, int], after: dict[str, int]) -> list[str]:
    return [name for name, checksum in before.items() if after.get(name) != checksum]


def _results(roles: Roles, sequences: Sequences) -> dict[str, torch.Tensor]:
    seen: PolicyAndValues = roles(sequences)
    results = {"policy": seen.logprobs, "value": seen.values, "reference": roles.reference_logprobs(sequences)}
    if isinstance(roles, SharedRoles) and len(roles.reward_heads):
        results["reward"] = roles.reward_scores([(sequences.input_ids, sequences.attention_mask)]).scores
    return results


def _nudge(parameter: nn.Parameter) -> None:
    """Move all weights of a tensor a little, as much as its precision shows."""
    size = float(parameter.abs().mean())
    parameter.add_(0.02 * size if size else 0.01)


def _require_room(roles: Roles, folder: Path) -> None:
    trained = sum(p.numel() * p.element_size() for ps in roles.role_parameters().values() for p in ps)
    free = shutil.disk_usage(folder).free
    if free < 1.5 * trained:
        raise NotApplicable(f"needs {trained / 2**30:.1f} GiB of disk at {folder}, where {free / 2**30:.1f} are free")
