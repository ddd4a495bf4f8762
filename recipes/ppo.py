"""PPO: the policy writes, the reward model scores, the policy learns. One frozen base carries all four roles.

accelerate launch recipes/ppo.py --config recipes/configs/film_reviews/ppo.yaml [--kl_coef 0.02] [--key value]
"""

import rlhf.trainers.quiet  # noqa: F401  # isort: skip
from collections.abc import Sequence

from transformers import set_seed

from rlhf.config import parse
from rlhf.data import to_dataset
from rlhf.errors import exit_on_error
from rlhf.models.load import ModelOptions, load_tokenizer, print_trainable
from rlhf.plots import plot_metrics
from rlhf.runs import Run
from rlhf.trainers.machine import trainer_defaults
from rlhf.trainers.options import DataOptions
from rlhf.trainers.ppo.build import (
    RoleOptions,
    SideOptions,
    build_roles,
    build_scorer,
    load_separate_rewards,
)
from rlhf.trainers.ppo.config import PPOConfig
from rlhf.trainers.ppo.schedule import require_enough_prompts, stop_token_ids
from rlhf.trainers.ppo.trainer import PPOTrainer
from rlhf.trainers.reward_options import RewardOptions, further_columns
from rlhf.trainers.stage import checkpoint_to_resume, final_metrics, require_room, run_training
from rlhf.trainers.trackers import prepare_trackers

SHOWN = {
    "objective/scores": "score",
    "objective/kl": "KL",
    "policy/entropy_avg": "entropy",
    "response/length": "length",
    "policy/clipfrac_avg": "clipped",
    "val/explained_variance": "explained",
}
RESULTS = {
    "objective/scores_before_penalty": "score",
    "objective/kl": "kl",
    "response/length": "response_length",
    "eval_objective/scores": "eval_score",
    "eval_objective/kl": "eval_kl",
    "episode": "episodes",
}
PANELS = {
    "Score": ["objective/scores", "objective/scores_before_penalty", "eval_objective/scores"],
    "KL to the reference": ["objective/kl", "eval_objective/kl"],
    "Entropy": ["policy/entropy_avg"],
    "Response length": ["response/length"],
    "Clip fraction": ["policy/clipfrac_avg", "val/clipfrac_avg"],
    "Explained variance": ["val/explained_variance"],
    "Gradient norm by role": ["grad_norm/policy", "grad_norm/value"],
    "KL coefficient": ["objective/kl_coef"],
}


@exit_on_error()
def main(argv: Sequence[str] | None = None) -> None:
    model_options, data_options, reward_options, role_options, side_options, args = parse(
        ModelOptions,
        DataOptions,
        RewardOptions,
        RoleOptions,
        SideOptions,
        PPOConfig,
        argv=argv,
        description=__doc__,
        defaults=trainer_defaults(),
    )

    # 1. Check prompts, folders and rewards before the policy is loaded.
    prepare_trackers(args)
    rows = data_options.load("prompts")
    location = model_options.locate()
    tokenizer = load_tokenizer(location.adapter or location.base)
    require_room(tokenizer, rows, location.base, args.response_length)
    require_enough_prompts(args, len(rows.train), len(rows.evaluation) if rows.evaluation else None)
    stop_token_ids(args, tokenizer)
    columns = further_columns(rows.train)
    separate_rewards = load_separate_rewards(reward_options, model_options)
    judges = side_options.load_judges(rows.evaluation is not None)
    texts = side_options.load_texts(tokenizer, args)
    run = Run.create(
        args.output_dir,
        "ppo",
        (model_options, data_options, reward_options, role_options, side_options, args),
        seed=args.seed,
        data_files=rows.files,
        parents=[*([location.adapter] if location.adapter else []), *reward_options.parents()],
        base_model=location.base,
        overwrite=data_options.overwrite_output_dir,
        resume=checkpoint_to_resume(args) is not None,
    )

    # 2. Give each role its adapter on the one base, and build the trainer.
    set_seed(args.seed)
    roles = build_roles(model_options, reward_options, role_options, args)
    print_trainable(roles)
    trainer = PPOTrainer(
        roles=roles,
        scorer=build_scorer(roles, tokenizer, separate_rewards, reward_options, args),
        args=args,
        processing_class=tokenizer,
        train_dataset=to_dataset(rows.train, "prompts", keep=columns),
        eval_dataset=to_dataset(rows.evaluation, "prompts", keep=further_columns(rows.evaluation))
        if rows.evaluation
        else None,
        judges=judges,
        pretraining=texts,
    )

    # 3. Train, measure on held-out prompts, save.
    run_training(trainer, run, SHOWN)
    if rows.evaluation and not trainer.is_measured:
        trainer.evaluate()
    trainer.save_model()
    plot_metrics(run.dir, PANELS)
    run.finish(
        final_metrics(run, RESULTS),
        card=f"A policy on `{location.base}`, trained by PPO. Start and reference: "
        f"`{location.adapter or location.base}`. Reward: `{', '.join(reward_options.names())}`. "
        "The adapter loads with plain PEFT; the value role lies in `value/`.",
    )
    print(f"Saved to {run.dir}")


if __name__ == "__main__":
    main()
