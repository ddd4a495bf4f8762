"""Supervised fine-tuning: all weights, LoRA or QLoRA, on TRL's SFTTrainer. The loss is on the completion.

accelerate launch recipes/sft.py --config recipes/configs/film_reviews/sft.yaml [--tuning full|lora|qlora] [--key value]
"""

import rlhf.trainers.quiet  # noqa: F401  # isort: skip
from collections.abc import Sequence

from transformers import set_seed
from trl import SFTConfig, SFTTrainer

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
from rlhf.trainers.stage import checkpoint_to_resume, final_metrics, run_training, save_model, say_lengths
from rlhf.trainers.trackers import prepare_trackers

SHOWN = {"loss": "loss", "mean_token_accuracy": "token accuracy", "learning_rate": "lr"}
RESULTS = {"train_loss": "train_loss", "eval_loss": "eval_loss", "eval_mean_token_accuracy": "eval_token_accuracy"}
PANELS = {
    "Loss": ["loss", "eval_loss"],
    "Token accuracy": ["mean_token_accuracy", "eval_mean_token_accuracy"],
    "Gradient norm": ["grad_norm"],
    "Learning rate": ["learning_rate"],
}


@exit_on_error()
def main(argv: Sequence[str] | None = None) -> None:
    model_options, data_options, args = parse(
        ModelOptions, DataOptions, SFTConfig, argv=argv, description=__doc__, defaults=trainer_defaults()
    )

    # 1. Check the data and the folders before a model is loaded.
    prepare_trackers(args)
    rows = data_options.load("sft")
    location = model_options.locate()
    tokenizer = load_tokenizer(location.adapter or location.base)
    say_lengths(tokenizer, rows, "sft", location.base, args.max_length, "cut")
    run = Run.create(
        args.output_dir,
        "sft",
        (model_options, data_options, args),
        seed=args.seed,
        data_files=rows.files,
        parents=[location.adapter] if location.adapter else [],
        base_model=location.base,
        overwrite=data_options.overwrite_output_dir,
        resume=checkpoint_to_resume(args) is not None,
    )

    # 2. Load the model and build the trainer.
    set_seed(args.seed)
    model = load_causal_lm(model_options, adapter=location.adapter, trainable=True)
    align_pad_token(model, tokenizer)
    print_trainable(model)
    if args.packing:
        model.config.use_cache = False  # with a cache, packed documents see each other
    trainer = SFTTrainer(
        model=model,
        args=args,
        train_dataset=to_dataset(rows.train, "sft"),
        eval_dataset=to_dataset(rows.evaluation, "sft") if rows.evaluation else None,
        processing_class=tokenizer,
    )
    train_in_float32(trainer.model)

    # 3. Train, measure, save.
    run_training(trainer, run, SHOWN)
    if rows.evaluation:
        trainer.evaluate()
    save_model(trainer, tokenizer)
    plot_metrics(run.dir, PANELS)
    run.finish(
        final_metrics(run, RESULTS),
        card=f"`{location.base}` fine-tuned ({model_options.tuning}) on {len(rows.train):,} examples.",
    )
    trainer.accelerator.print(f"Saved to {run.dir}")


if __name__ == "__main__":
    main()
