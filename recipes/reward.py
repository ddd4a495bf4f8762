"""A reward model from people's comparisons, on TRL's RewardTrainer, starting from the weights of the SFT adapter.

accelerate launch recipes/reward.py --config recipes/configs/film_reviews/reward.yaml [--key value]
"""

import rlhf.trainers.quiet  # noqa: F401  # isort: skip
from collections.abc import Sequence

from transformers import set_seed

from rlhf.config import parse
from rlhf.data import to_dataset
from rlhf.errors import exit_on_error
from rlhf.models.load import ModelOptions, align_pad_token, load_tokenizer, print_trainable
from rlhf.models.reward_model import new_reward_model
from rlhf.plots import plot_metrics
from rlhf.runs import Run
from rlhf.trainers.machine import trainer_defaults
from rlhf.trainers.options import DataOptions
from rlhf.trainers.reward import PreferenceRewardConfig, PreferenceRewardTrainer, prove_reload
from rlhf.trainers.stage import (
    checkpoint_to_resume,
    failures_recorded,
    final_metrics,
    run_training,
    save_model,
    say_lengths,
)
from rlhf.trainers.trackers import prepare_trackers

SHOWN = {"loss": "loss", "accuracy": "accuracy", "margin": "lead of the chosen", "learning_rate": "lr"}
RESULTS = {"train_loss": "train_loss", "eval_loss": "eval_loss", "eval_accuracy": "eval_accuracy"}
PANELS = {
    "Loss": ["loss", "eval_loss"],
    "Accuracy": ["accuracy", "eval_accuracy"],
    "Lead of the chosen response": ["margin", "eval_margin"],
    "Rewards": ["min_reward", "mean_reward", "max_reward"],
    "Gradient norm": ["grad_norm"],
}
PROVEN_ROWS = 8


@exit_on_error()
def main(argv: Sequence[str] | None = None) -> None:
    model_options, data_options, args = parse(
        ModelOptions, DataOptions, PreferenceRewardConfig, argv=argv, description=__doc__, defaults=trainer_defaults()
    )

    # 1. Check the data and the folders before a model is loaded.
    prepare_trackers(args)
    rows = data_options.load("preference")
    location = model_options.locate()
    tokenizer = load_tokenizer(location.adapter or location.base, padding_side="right")
    say_lengths(tokenizer, rows, "preference", location.base, args.max_length, "dropped")
    run = Run.create(
        args.output_dir,
        "reward",
        (model_options, data_options, args),
        seed=args.seed,
        data_files=rows.files,
        parents=[location.adapter] if location.adapter else [],
        label_ids=rows.label_ids,
        base_model=location.base,
        overwrite=data_options.overwrite_output_dir,
        resume=checkpoint_to_resume(args) is not None,
    )

    # 2. Load the model and build the trainer.
    set_seed(args.seed)
    model = new_reward_model(model_options)
    align_pad_token(model, tokenizer)
    print_trainable(model)
    trainer = PreferenceRewardTrainer(
        model=model,
        args=args,
        train_dataset=to_dataset(rows.train, "preference"),
        eval_dataset=to_dataset(rows.evaluation, "preference") if rows.evaluation else None,
        processing_class=tokenizer,
    )

    # 3. Train, measure, save, and prove that what was saved is what was trained.
    run_training(trainer, run, SHOWN)
    if rows.evaluation:
        trainer.evaluate()
    save_model(trainer, tokenizer)
    with failures_recorded(run):
        trained = trainer.accelerator.unwrap_model(trainer.model)
        prove_reload(run.dir, model_options, trained, tokenizer, rows.train[:PROVEN_ROWS])
    plot_metrics(run.dir, PANELS)
    run.finish(
        final_metrics(run, RESULTS),
        card=f"A reward model on `{location.base}`, trained on {len(rows.train):,} comparisons of people. Its score "
        "says how much they would like a response; load it with `rlhf.models.reward_model.load_reward_model`.",
    )
    trainer.accelerator.print(f"Saved to {run.dir}; the score head is proven by a reload.")


if __name__ == "__main__":
    main()
