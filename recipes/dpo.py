"""Direct preference optimization on TRL's DPOTrainer. The reference is the SFT adapter that training starts from.

accelerate launch recipes/dpo.py --config recipes/configs/film_reviews/dpo.yaml [--loss_type ipo] [--key value]
"""

import rlhf.trainers.quiet  # noqa: F401  # isort: skip
from collections.abc import Sequence

from transformers import set_seed
from trl import DPOConfig

from rlhf.config import parse
from rlhf.data import to_dataset
from rlhf.errors import exit_on_error
from rlhf.models.load import (
    ModelOptions,
    align_pad_token,
    load_causal_lm,
    load_tokenizer,
    print_trainable,
    train_in_float32,
)
from rlhf.plots import plot_metrics
from rlhf.runs import Run
from rlhf.trainers.machine import trainer_defaults
from rlhf.trainers.options import DataOptions
from rlhf.trainers.pair_lengths import LengthGroupedDPOTrainer
from rlhf.trainers.stage import checkpoint_to_resume, final_metrics, run_training, save_model, say_lengths
from rlhf.trainers.trackers import prepare_trackers

SHOWN = {"loss": "loss", "rewards/accuracies": "accuracy", "rewards/margins": "margin", "learning_rate": "lr"}
RESULTS = {
    "train_loss": "train_loss",
    "rewards/accuracies": "accuracy",
    "eval_loss": "eval_loss",
    "eval_rewards/accuracies": "eval_accuracy",
}
PANELS = {
    "Loss": ["loss", "eval_loss"],
    "Accuracy": ["rewards/accuracies", "eval_rewards/accuracies"],
    "Implicit rewards": ["rewards/chosen", "rewards/rejected"],
    "Log-probabilities": ["logps/chosen", "logps/rejected"],
    "Gradient norm": ["grad_norm"],
}


@exit_on_error()
def main(argv: Sequence[str] | None = None) -> None:
    model_options, data_options, args = parse(
        ModelOptions, DataOptions, DPOConfig, argv=argv, description=__doc__, defaults=trainer_defaults()
    )

    # 1. Check the data and the folders before a model is loaded.
    prepare_trackers(args)
    rows = data_options.load("preference")
    location = model_options.locate()
    tokenizer = load_tokenizer(location.adapter or location.base)
    say_lengths(tokenizer, rows, "preference", location.base, args.max_length, "cut")
    run = Run.create(
        args.output_dir,
        "dpo",
        (model_options, data_options, args),
        seed=args.seed,
        data_files=rows.files,
        parents=[location.adapter] if location.adapter else [],
        label_ids=rows.label_ids,
        base_model=location.base,
        overwrite=data_options.overwrite_output_dir,
        resume=checkpoint_to_resume(args) is not None,
    )

    # 2. Load the model and build the trainer, which keeps a frozen copy of the adapter as the reference.
    set_seed(args.seed)
    model = load_causal_lm(model_options, adapter=location.adapter, trainable=True)
    align_pad_token(model, tokenizer)
    print_trainable(model)
    trainer = LengthGroupedDPOTrainer(
        model=model,
        args=args,
        train_dataset=to_dataset(rows.train, "preference"),
        eval_dataset=to_dataset(rows.evaluation, "preference") if rows.evaluation else None,
        processing_class=tokenizer,
    )
    train_in_float32(trainer.model)

    # 3. Train, measure, save.
    run_training(trainer, run, SHOWN)
    if rows.evaluation:
        trainer.evaluate()
    save_model(trainer, tokenizer)
    plot_metrics(run.dir, PANELS)
    start = location.adapter or location.base
    run.finish(
        final_metrics(run, RESULTS),
        card=f"A policy on `{location.base}`, trained by DPO ({', '.join(args.loss_type)}, beta {args.beta:g}) on "
        f"{len(rows.train):,} comparisons of people. Start and reference: `{start}`.",
    )
    trainer.accelerator.print(f"Saved to {run.dir}")


if __name__ == "__main__":
    main()
