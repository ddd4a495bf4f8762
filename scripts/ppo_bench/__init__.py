"""The parts of scripts/bench_ppo.py.

    options.py      the command line
    workload.py     what is measured: one workload for all sides, and the lists of them that each mode takes
    release.py      TRL 1.12.0 in a folder of its own, checked file by file
    processes.py    one measured program in a process of its own, and what is said when it fails
    turns.py        the sides in turns, round after round, with the time left
    speed.py        the modes that measure speed and memory
    figures.py      medians and ratios: pure functions
    report.py       tables for a terminal, one JSON file
    equal_kl.py     the reward that each side reaches at equal KL, on the film-review task; its programs are in
                    equal_kl_stages.py, and stages.py runs them
    machine.py      on what it was measured

The measured programs, each run as `python -m ppo_bench.NAME spec.json result.json` (child.py is what they share):

    prepare.py      prompts of one length, and the reward model that both sides use
    ours.py         our PPO
    trl_ppo.py      TRL 1.12.0's; the only one that has that release on its path
    merge.py        an adapter folded into its base, which TRL 1.12.0 needs to start from an SFT adapter
"""
