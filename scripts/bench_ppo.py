"""Measure our PPO against TRL 1.12.0's, the last release that had one, in the same run, as ratios.

    python scripts/bench_ppo.py                          samples a second, seconds by phase, memory, at equal settings
    python scripts/bench_ppo.py --natural_eos --best 4 8 16
                                                         also where EOS ends responses, and each side at its fastest
    python scripts/bench_ppo.py --scaling                how both grow with response length and batch
    python scripts/bench_ppo.py --equal_kl --seeds 0 1   the reward reached at equal KL (hours on a CPU)

TRL 1.12.0 is installed once into a folder of its own, without its dependencies, and runs unchanged with the tested
transformers, peft and accelerate: its phases are timed by wrapping its functions from outside. The sides run one
after the other, round after round, each in a process of its own. Figures are medians over all measured rollouts;
memory is the largest of any process.

Both sides get the same model, prompts, lengths, batch, micro-batches, epochs, adapters (LoRA on all linear layers),
precision, coefficients and seed. A rollout's time is everything from sampling to the last optimizer step on it;
`forward` is what policy, reference and value make of the responses, with the advantages. This is what they compute:

    ours              policy and value train adapters of their own on one frozen base; reference and reward share it
    top third         ours too, but they train the top third of the layers, above a trunk that is run once per rollout
    TRL 1.12.0        the policy trains an adapter; the value model is a second model, which trains all its weights, as
                      TRL's LoRA covers the policy only; the reward model is a third one; the reference is the policy
                      without its adapter, and the policy's own log-probabilities are those kept while sampling

The reward is the same on both sides, a seeded random head on the base: ours reads it as one more role of the shared
base, TRL as a whole classifier. Ours scores each response with an EOS behind it. Unless --natural_eos is given, no
response ends before its full length.

With --json FILE each mode writes a section of its own; those of other modes that the file has already are kept.
"""

import signal
import sys
from collections.abc import Sequence

from ppo_bench import equal_kl, report, speed
from ppo_bench.options import parse
from rich.console import Console

from rlhf.errors import exit_on_error

INTERRUPTED = 130


@exit_on_error()
def main(argv: Sequence[str] | None = None) -> None:
    options = parse(__doc__ or "", argv)
    if options.json:
        report.read(options.json)  # a file of another kind is refused before anything is measured
    # Whoever ends this program ends the one that it is measuring too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        (equal_kl if options.equal_kl else speed).run(options, Console())
    except KeyboardInterrupt:
        kept = f" What was measured before is in {options.json}." if options.json and options.json.exists() else ""
        print(f"\nInterrupted.{kept}", file=sys.stderr)
        raise SystemExit(INTERRUPTED) from None
    if options.json:
        print(f"Figures: {options.json}")


if __name__ == "__main__":
    main()
