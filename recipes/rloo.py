"""REINFORCE leave-one-out on TRL's RLOOTrainer: an answer is compared with the others' mean reward.

accelerate launch recipes/rloo.py --config recipes/configs/film_reviews/rloo.yaml [--beta 0.02] [--key value]
"""

import rlhf.trainers.quiet  # noqa: F401  # isort: skip
from collections.abc import Sequence

from transformers import set_seed

from rlhf.config import parse
from rlhf.data import to_dataset
from rlhf.errors import exit_on_error
from rlhf.models.load import ModelOptions, load_causal_lm, load_tokenizer, print_trainable
from rlhf.plots import plot_metrics
from rlhf.runs import Run
from rlhf.trainers.groups.config import RLOOConfig
from rlhf.trainers.groups.figures import PANELS, RESULTS, SHOWN
from rlhf.trainers.groups.trainer import RLOOTrainer
from rlhf.trainers.machine import trainer_defaults
from rlhf.trainers.options import DataOptions
from rlhf.trainers.reward_options import RewardOptions, further_columns, load_rewards
from rlhf.trainers.stage import checkpoint_to_resume, final_metrics, require_room, run_training, save_model
from rlhf.trainers.trackers import prepare_trackers


@exit_on_error()
def main(argv: Sequence[str] | None = None) -> None:
    model_options, data_options, reward_options, args = parse(
        ModelOptions,
        DataOptions,
        RewardOptions,
        RLOOConfig,
        argv=argv,
        description=__doc__,
        defaults=trainer_defaults(),
    )

    # 1. Check prompts, folders and rewards before the policy is loaded.
    prepare_trackers(args)
    args.check_with(model_options)
    rows = data_options.load("prompts")
    location = model_options.locate()
    tokenizer = load_tokenizer(location.adapter or location.base)
    require_room(tokenizer, rows, location.base, args.max_completion_length)
    rewards, weights = load_rewards(reward_options)
    run = Run.create(
        args.output_dir,
        "rloo",
        (model_options, data_options, reward_options, args),
        seed=args.seed,
        data_files=rows.files,
        parents=[*([location.adapter] if location.adapter else []), *reward_options.parents()],
        base_model=location.base,
        overwrite=data_options.overwrite_output_dir,
        resume=checkpoint_to_resume(args) is not None,
    )

    # 2. Load the policy and build the trainer, which keeps a frozen copy of the adapter as the reference.
    set_seed(args.seed)
    model = load_causal_lm(model_options, adapter=location.adapter, trainable=True)
    print_trainable(model)
    trainer = RLOOTrainer(
        model=model,
        rewards=rewards,
        weights=weights,
        args=args,
        processing_class=tokenizer,
        train_dataset=to_dataset(rows.train, "prompts", keep=further_columns(rows.train)),
        eval_dataset=to_dataset(rows.evaluation, "prompts", keep=further_columns(rows.evaluation))
        if rows.evaluation
        else None,
    )

    # 3. Train, measure on held-out prompts, save.
    run_training(trainer, run, SHOWN)
    if rows.evaluation:
        trainer.evaluate()
    save_model(trainer, tokenizer)
    plot_metrics(run.dir, PANELS)
    start = location.adapter or location.base
    run.finish(
        final_metrics(run, RESULTS),
        card=f"A policy on `{location.base}`, trained by RLOO (beta {args.beta:g}, {args.num_generations} responses to "
        f"each prompt). Start and reference: `{start}`. Reward: `{', '.join(reward_options.names())}`.",
    )
    trainer.accelerator.print(f"Saved to {run.dir}")


if __name__ == "__main__":
    main()
