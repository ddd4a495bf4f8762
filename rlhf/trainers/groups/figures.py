"""Which metrics of GRPO and RLOO are shown, summed up and drawn. A figure that PPO has too has PPO's name."""

SHOWN = {
    "objective/scores_before_penalty": "score",
    "objective/kl": "KL",
    "entropy": "entropy",
    "completions/mean_length": "length",
    "clip_ratio/region_mean": "clipped",
}
RESULTS = {
    "objective/scores_before_penalty": "score",
    "objective/kl": "kl",
    "completions/mean_length": "response_length",
    "eval_objective/scores_before_penalty": "eval_score",
    "eval_objective/kl": "eval_kl",
    "episode": "episodes",
}
PANELS = {
    "Score": ["reward", "objective/scores_before_penalty", "eval_objective/scores_before_penalty"],
    "Spread of the rewards": ["reward_std", "frac_reward_zero_std"],
    "KL to the reference": ["objective/kl", "eval_objective/kl"],
    "Entropy": ["entropy"],
    "Response length": ["completions/mean_length"],
    "Clip fraction": ["clip_ratio/region_mean"],
    "Gradient norm": ["grad_norm"],
}
