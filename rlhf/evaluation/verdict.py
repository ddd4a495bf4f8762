"""The result of an evaluation in words: what the intervals allow to say, and no more."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

# More perplexity than this on general text, against the base, is called forgetting; less distinct-2 than this
# share of the reference's is called a loss of variety.
FORGETTING_LIMIT = 1.15
VARIETY_FLOOR = 0.6
BEST_OF = re.compile(r"(.+)_best_of_(\d+|n)")
INDEPENDENT = ("judge", "gold_reward")

Tone = Literal["good", "bad", "even"]
Report = Mapping[str, Any]


@dataclass(frozen=True)
class Finding:
    """One sentence about one policy (or the reward model), and whether it is good news."""

    subject: str
    tone: Tone
    text: str


def verdict(report: Report) -> dict[str, Any]:
    """The headline and the findings behind it, in the order of the policies."""
    settings = report["settings"]
    tested = [name for name in report["policies"] if name not in (settings["reference"], settings["base"])]
    findings = [finding for name in tested for finding in policy_findings(report, name)]
    if report["reward_model"]:
        findings.append(_reward_model(report))
    # The best of n is what trained policies are measured with; the headline is about them.
    trained = [name for name in tested if name not in report["best_of"]]
    return {"headline": headline(report, trained), "findings": [asdict(finding) for finding in findings]}


def headline(report: Report, trained: Sequence[str]) -> str:
    """The outcome by the independent judges, policies with the same outcome together."""
    reference = label(report["settings"]["reference"])
    outcomes: dict[str, list[str]] = {}
    for name in trained:
        outcomes.setdefault(_outcome(report, name)[0], []).append(label(name))
    judges = [field for field in INDEPENDENT if field in report["judges"]]
    by = {0: "the reward model alone", 1: "the independent judge", 2: "both independent judges"}[len(judges)]
    some = "some of the judges" if judges else "the reward model"
    words = {
        "better": f"preferred over {reference} by {by}",
        "worse": f"judged worse than {reference} by {some}",
        "even": f"not clearly preferred over {reference}",
    }
    parts = [
        f"{_listed(names)} {'is' if len(names) == 1 else 'are'} {words[outcome]}" for outcome, names in outcomes.items()
    ]
    return "; ".join(parts) + "." if parts else f"{reference} was measured; no trained policy was compared with it."


def policy_findings(report: Report, name: str) -> list[Finding]:
    """What can be said of one policy: preference, gain, over-optimization, forgetting, variety."""
    outcome, rates = _outcome(report, name)
    tone: dict[str, Tone] = {"better": "good", "worse": "bad", "even": "even"}
    reference = report["settings"]["reference"]
    preferred = Finding(label(name), tone[outcome], f"Preferred over {label(reference)}: {rates}.")
    others = [check(report, name) for check in (_gain, _overoptimized, _forgetting, _variety)]
    return [preferred, *(finding for finding in others if finding is not None)]


def _outcome(report: Report, name: str) -> tuple[str, str]:
    """Better only where all judges say so beyond their intervals, worse where any does; and the rates in words."""
    rates = report["win_rates"][name]
    fields = [field for field in INDEPENDENT if field in rates] or ["reward"]
    words = ", ".join(
        f"{report['judges'][field]} {rates[field]['win_rate']:.0%} ({_span(rates[field]['ci95'])})" for field in fields
    )
    if all(rates[field]["ci95"][0] > 0.5 for field in fields):
        return "better", words
    if any(rates[field]["ci95"][1] < 0.5 for field in fields):
        return "worse", words
    return "even", words


def _gain(report: Report, name: str) -> Finding | None:
    settings, figures = report["settings"], report["policies"][name]
    gain = figures["reward_gain"]
    if gain is None:
        return None
    low, high = figures["ci95"]["reward_gain"]
    reference = settings["reference"]
    tone: Tone = "good" if low > 0 else "bad" if high < 0 else "even"
    kl = f"{'at most ' if name in report['best_of'] else ''}{figures[f'kl_to_{reference}']:.1f}"
    text = f"Reward {gain:+.2f} standard deviations ({low:+.2f} to {high:+.2f}) at a KL of {kl} nats."
    return Finding(label(name), tone, text)


def _overoptimized(report: Report, name: str) -> Finding | None:
    """A reward that rose while an independent judge's score did not."""
    figures = report["policies"][name]
    limits = figures["ci95"]
    if "reward_gain" not in limits or limits["reward_gain"][0] <= 0:
        return None
    flat = [f for f in INDEPENDENT if f"{f}_gain" in limits and limits[f"{f}_gain"][0] <= 0]
    if not flat:
        return None
    names = _listed([report["judges"][field] for field in flat])
    return Finding(label(name), "bad", f"The reward rose, but not the {names}: a sign of over-optimization.")


def _forgetting(report: Report, name: str) -> Finding | None:
    base = report["settings"]["base"]
    ratio = report["differences"][name].get(base, {}).get("perplexity_ratio")
    if ratio is None:
        return None
    low, high = ratio["ci95"]
    change = f"{ratio['estimate'] - 1:+.1%} ({low - 1:+.1%} to {high - 1:+.1%})"
    text = f"perplexity on general text {change} against the base."
    if ratio["estimate"] > FORGETTING_LIMIT:
        return Finding(label(name), "bad", f"Forgetting: {text}")
    if high > FORGETTING_LIMIT:
        return Finding(label(name), "even", f"Forgetting can't be excluded: {text}")
    return Finding(label(name), "good", f"Little forgotten: {text}")


def _variety(report: Report, name: str) -> Finding | None:
    reference = report["settings"]["reference"]
    before = report["policies"][reference]["distinct_2"]
    if not before:
        return None
    share = report["policies"][name]["distinct_2"] / before
    text = f"distinct-2 is {share:.0%} of {label(reference)}'s."
    if share < VARIETY_FLOOR:
        return Finding(label(name), "bad", f"It repeats itself: {text}")
    return Finding(label(name), "good", f"Variety is kept: {text}")


def _reward_model(report: Report) -> Finding:
    model = report["reward_model"]
    text = (
        f"Agrees with people on {model['heldout_accuracy']:.1%} ({_span(model['ci95'], 1)}) "
        f"of {model['pairs']:,} held-out comparisons"
    )
    if model["people_agreement"] is not None:
        text += f"; one person alone on {model['people_agreement']:.1%}"
    low, high = model["ci95"]
    tone: Tone = "good" if low > 0.5 else "bad" if high < 0.5 else "even"
    return Finding("Reward model", tone, text + ".")


def label(name: str) -> str:
    """A policy's name as a reader sees it: the stages' names in capitals, `sft_best_of_4` as SFT best of 4."""
    best_of = BEST_OF.fullmatch(name)
    if best_of:
        return f"{label(best_of[1])} best of {best_of[2]}"
    return name.upper() if name in ("sft", "ppo", "dpo", "grpo", "rloo", "kto") else name


def _span(limits: Sequence[float], digits: int = 0) -> str:
    return f"{limits[0]:.{digits}%} to {limits[1]:.{digits}%}"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
