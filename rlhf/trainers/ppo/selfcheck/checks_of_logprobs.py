"""Checks of log-probabilities: of sampling against training, of the policy against its reference."""

import torch

from rlhf.trainers.ppo.advantages import own_process
from rlhf.trainers.ppo.rollout import pad_generations, sampled_logprobs
from rlhf.trainers.ppo.selfcheck.evidence import Evidence, Measured
from rlhf.trainers.ppo.selfcheck.probes import logprob_differences, one_by_one, pieces
from rlhf.trainers.ppo.selfcheck.subject import PROMPTS, Subject

DRAWS = 512
RARE = 1e-6  # a sampler that is right is accused once in a million runs


@torch.no_grad()
def equal_tokens_give_equal_numbers(subject: Subject) -> Evidence:
    """The same tokens give the same log-probabilities and values whenever they are run."""
    roles, sequences = subject.roles(), subject.rollout().sequences
    first, second = roles(sequences), roles(sequences)
    reason = (
        "Dropout, or other randomness, is active in evaluation mode: the ratio to the rollout's policy is no ratio."
    )
    remedy = "Set the dropouts in config.json to 0 (attention_dropout, hidden_dropout, …)."
    mask = sequences.response_mask
    values = float((first.values[:, :-1] - second.values[:, :-1]).abs()[mask].max())
    return [
        *logprob_differences(
            "twice", first.logprobs, second.logprobs, mask, subject.tolerances.logprob, reason, remedy
        ),
        Measured("values", values, subject.tolerances.score, reason, remedy),
    ]


@torch.no_grad()
def the_policy_starts_at_its_reference(subject: Subject) -> Evidence:
    """Before the first step the KL to the reference, or to the adapter that training starts from, is 0."""
    sequences = subject.rollout().sequences.with_trunk({})
    reading = subject.roles().read(sequences)
    kl = ((reading.logprobs - reading.reference_logprobs) * sequences.response_mask).sum(-1)
    return [
        Measured(
            "largest KL of a response",
            float(kl.abs().max()),
            subject.tolerances.kl,
            "Policy and reference differ at the start: the KL penalty would hold the policy to another model.",
            "Start from the adapter that the reference has (--adapter); an adapter with random start weights "
            "(init_lora_weights: false, pissa, olora) changes the model before it is trained.",
        )
    ]


@torch.no_grad()
def the_first_ratio_is_1(subject: Subject) -> Evidence:
    """In a rollout's first minibatch the ratio to its policy is 1, nothing is clipped, the approximate KL is 0."""
    subject.step()  # an adapter that is still 0 would hide what is wrong with it
    trainer, rollout, allowed = subject.trainer(), subject.roll_out(), subject.tolerances
    largest = 0.0
    trainer.meter.means(own_process)  # starts anew
    for micro_batch in pieces(rollout, 2):
        trainer.compute_loss(trainer.roles, micro_batch)
        part = micro_batch.rollout
        difference = (trainer.roles(part.sequences).logprobs - part.logprobs).abs() * part.sequences.response_mask
        largest = max(largest, float(difference.max()))
    means = trainer.meter.means(own_process)
    reason = "The forward that trains gives other log-probabilities than the one of the rollout."
    remedy = (
        "See the checks of padding and of equal tokens: where they fail too, they name the cause. Where only this one "
        "fails, use --dtype float32."
    )
    return [
        Measured("largest |log ratio|", largest, allowed.logprob.largest, reason, remedy),
        Measured("clip fraction", means["policy/clipfrac_avg"], allowed.clipped, reason, remedy),
        Measured("approximate KL", means["policy/approxkl_avg"], 0.5 * allowed.logprob.largest**2, reason, remedy),
    ]


@torch.no_grad()
def sampling_and_training_agree(subject: Subject) -> Evidence:
    """A response has the log-probabilities in training that it was drawn with, at a temperature other than 1."""
    subject.step()  # the adapter that is folded in for sampling is then no longer 0
    roles, pad = subject.roles(), int(subject.tokenizer().pad_token_id)
    causes = {
        1: "the cache loses something, or logits are changed in generation",
        len(PROMPTS): "padding on the left reaches the answers",
    }
    measured = []
    for size, cause in causes.items():
        generations = subject.answer(batch_size=size)
        sequences = pad_generations(generations, pad, roles.device)
        mask = sequences.response_mask
        measured += logprob_differences(
            f"sampled {size} at a time",
            sampled_logprobs(generations, mask),
            one_by_one(roles, sequences),
            mask,
            subject.tolerances.sampled,
            f"Sampling draws from another distribution than the one that is trained: {cause}.",
            "Use a model whose generation with a cache equals its plain forward (a current version of its code, "
            "attn_implementation: sdpa or eager).",
        )
    return measured


@torch.no_grad()
def padding_leaves_logprobs_alone(subject: Subject) -> Evidence:
    """Responses have the same log-probabilities in a padded batch as alone."""
    roles, sequences = subject.roles(), subject.rollout().sequences
    plain = sequences.with_trunk({})
    return logprob_differences(
        f"{len(PROMPTS)} in a batch",
        roles(plain).logprobs,
        one_by_one(roles, plain),
        sequences.response_mask,
        subject.tolerances.logprob,
        "Padding on the left changes what the model computes: it ignores its attention mask or its position ids.",
        "Use a current version of the model's code, or another attn_implementation (sdpa, eager).",
    )


@torch.no_grad()
def draws_follow_the_distribution(subject: Subject) -> Evidence:
    """The first token of many answers to one prompt is spread as its probabilities say (a chi-square test)."""
    from scipy.stats import chi2

    trainer = subject.trainer()
    drawn = subject.answer(64, [PROMPTS[0]] * DRAWS, length=1)
    prompt = torch.tensor([drawn[0].prompt_ids], device=trainer.roles.device)
    with trainer.roles.sampling() as policy:
        logits = policy(input_ids=prompt, attention_mask=torch.ones_like(prompt), use_cache=False).logits[0, -1]
    probabilities = (logits.float() / trainer.args.temperature).softmax(-1).cpu()
    counts = torch.bincount(torch.tensor([one.response_ids[0] for one in drawn]), minlength=len(probabilities))
    seen, expected = _cells(counts.double(), probabilities.double() * DRAWS)
    return [
        Measured(
            f"chi-square of {DRAWS} draws over {len(expected)} cells",
            float(((seen - expected) ** 2 / expected).sum()),
            float(chi2.isf(RARE, max(len(expected) - 1, 1))),
            "Tokens are not drawn with the probabilities of the policy: logits are changed in generation.",
            "Use a model whose code leaves the logits alone in generation.",
        )
    ]


def _cells(seen: torch.Tensor, expected: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """A cell for each token that is expected at least 5 times, and one for the others, as the test asks for."""
    order = expected.argsort(descending=True)
    seen, expected = seen[order], expected[order]
    cells = int((expected >= 5).sum())
    if cells == 0 or expected[cells:].sum() < 5:  # too few are left for a cell of their own
        cells = max(cells - 1, 0)
    return tuple(torch.cat([part[:cells], part[cells:].sum()[None]]) for part in (seen, expected))  # type: ignore[return-value]
