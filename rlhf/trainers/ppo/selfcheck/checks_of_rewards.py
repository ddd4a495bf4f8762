"""Checks of the reward model: by itself, and as a role on the policy's base."""

from typing import Any

import torch

from rlhf.data.chat import encode_completion, prompt_ids
from rlhf.generation import Generation
from rlhf.models.shared_roles import SharedRoles
from rlhf.trainers.ppo.scoring import Scorer
from rlhf.trainers.ppo.selfcheck.evidence import Evidence, Failure, Measured, NotApplicable, tolerances_of
from rlhf.trainers.ppo.selfcheck.reward_readings import RewardReadings
from rlhf.trainers.ppo.selfcheck.subject import Subject


def scores_do_not_depend_on_the_batch(subject: Subject) -> Evidence:
    """The reward model gives a text the same score alone, in a batch, and with more padding."""
    readings = subject.readings()
    reason = (
        "Padding reaches the score: the model ignores its attention mask, or scores the last column instead of the "
    )
    remedy = "Use a reward model whose attention mask leaves the padding out and whose pad token is not EOS."
    return [
        _differ(readings, name, scores, reason + "last real token.", remedy)
        for name, scores in (("in a batch", readings.together), ("with more padding", readings.padded))
    ]


def the_policys_tokens_are_the_reward_models(subject: Subject) -> Evidence:
    """A reward model that is a role reads the policy's tokens: they are those that it was trained on."""
    readings = subject.readings()
    _require_role(subject)
    tokenizer: Any = subject.tokenizer()
    for text, theirs in zip(readings.texts, readings.token_ids, strict=True):
        if isinstance(text[0], list) and not tokenizer.chat_template:
            raise Failure(
                "The reward model's tokenizer has a chat template, the policy's has none.",
                "Copy the tokenizer files of the reward run into the policy's folder, or train the reward model anew.",
            )
        ours = tuple(encode_completion(tokenizer, *text).input_ids)
        if ours != theirs:
            at = next(
                (i for i, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), min(len(ours), len(theirs))
            )
            raise Failure(
                f"The policy's tokenizer reads {text[1]!r} otherwise than the reward model's, from token {at} on "
                f"({list(ours[at : at + 3])} for {list(theirs[at : at + 3])}): it would score another text.",
                "Train the reward model on the policy's tokenizer and chat template, or give both the same files.",
            )
    return f"{len(readings.texts)} texts have the same tokens, EOS included"


def the_role_scores_as_the_reward_model(subject: Subject) -> Evidence:
    """The reward role on the shared base scores a response as the reward model loaded by itself does."""
    readings = subject.readings()
    _require_role(subject)
    roles = subject.roles()
    tokenizer: Any = subject.tokenizer()
    if not isinstance(roles, SharedRoles):
        raise NotApplicable("the roles are whole models")
    subject.trainer()  # brings the roles to the device
    rows, generations = [], []
    for prompt, completion in readings.texts:
        text = completion if isinstance(completion, str) else completion[0]["content"]
        response = [*tokenizer(text, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
        rows.append({"prompt": prompt})
        generations.append(Generation(prompt_ids(tokenizer, prompt), response, [0.0] * len(response), finished=True))
    scores = Scorer(tokenizer, roles=roles)(rows, generations).total
    return [
        _differ(
            readings,
            "as a role",
            scores,
            "The reward adapter means something else on the policy's base than on its own.",
            "Check that base and precision are those the reward model was trained on; else give it as a model of its "
            "own (merge it first), which costs its memory.",
        )
    ]


def _require_role(subject: Subject) -> None:
    if not subject.reward_is_a_role:
        raise NotApplicable("the reward model keeps its own base and tokenizer")


def _differ(readings: RewardReadings, name: str, scores: torch.Tensor, reason: str, remedy: str) -> Measured:
    """How far scores are from those of single texts, in units of their spread."""
    spread = max(float(readings.one_by_one.std()), 1.0)
    difference = float((scores - readings.one_by_one).abs().max()) / spread
    return Measured(f"largest difference {name}", difference, tolerances_of(readings.dtype).score, reason, remedy)
