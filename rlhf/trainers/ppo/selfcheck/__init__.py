"""Whether PPO computes on a given model what it should: the trainer's invariants, checked on the user's own folders.

`subject` builds what is checked, `checks_of_*` are the checks, `registry` lists them, `run` runs them and `view` shows
the results. `rlhf selfcheck` is the command.
"""
