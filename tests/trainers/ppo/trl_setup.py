"""A trainer by TRL's constructor on tiny models, and a script in TRL's form, for the tests of the way over."""

from datasets import Dataset
from peft import LoraConfig

from rlhf import PPOConfig, PPOTrainer
from tests.tiny import tiny_causal_lm, tiny_classifier, tiny_tokenizer

TEXTS = ["Film review: A", "You are", "What is the capital of", "Film review: The plot"] * 5
THEIR_IMPORT = "from trl.experimental.ppo import PPOConfig, PPOTrainer"
OUR_IMPORT = "from rlhf import PPOConfig, PPOTrainer"

# How a script goes about it, from folders to a saved policy. It runs with TRL 1.12.0 as it stands here.
SCRIPT = """
from datasets import load_dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer
from trl.experimental.ppo import PPOConfig, PPOTrainer

tokenizer = AutoTokenizer.from_pretrained(FOLDER / "policy", padding_side="left")
tokenizer.add_special_tokens({"pad_token": "[PAD]"})
dataset = load_dataset("json", data_files=str(FOLDER / f"{FORM}.jsonl"), split="train", cache_dir=str(FOLDER / "cache"))
if FORM == "tokenized":
    columns = dataset.column_names
    dataset = dataset.map(lambda row: {"input_ids": tokenizer(row["text"])["input_ids"]}, remove_columns=columns)

policy = AutoModelForCausalLM.from_pretrained(FOLDER / "policy")
reward_model = AutoModelForSequenceClassification.from_pretrained(FOLDER / "reward", num_labels=1)
value_model = AutoModelForSequenceClassification.from_pretrained(FOLDER / "reward", num_labels=1)
if LORA:
    peft_config = LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", task_type="CAUSAL_LM")
    ref_policy = None
else:
    peft_config = None
    ref_policy = AutoModelForCausalLM.from_pretrained(FOLDER / "policy")

training_args = PPOConfig(
    output_dir=str(FOLDER / "out"),
    learning_rate=1e-2,
    per_device_train_batch_size=2,
    gradient_accumulation_steps=4,
    num_mini_batches=2,
    num_ppo_epochs=3,
    total_episodes=16,
    response_length=6,
    stop_token="eos",
    missing_eos_penalty=1.0,
    num_sample_generations=1,
    save_strategy="no",
    report_to="none",
    use_cpu=True,
    bf16=False,
)
trainer = PPOTrainer(
    args=training_args,
    processing_class=tokenizer,
    model=policy,
    ref_model=ref_policy,
    reward_model=reward_model,
    value_model=value_model,
    train_dataset=dataset.select(range(16)),
    eval_dataset=dataset.select(range(16, 20)),
    peft_config=peft_config,
)
trainer.train()
trainer.save_model(training_args.output_dir)
trainer.generate_completions()
"""


def trl_options(folder, **options) -> PPOConfig:
    """Rollouts of 4 prompts, an optimizer step each, no samples; 2 rollouts in all unless told otherwise."""
    defaults = {
        "per_device_train_batch_size": 4,
        "num_ppo_epochs": 1,
        "total_episodes": 8,
        "response_length": 5,
        "num_sample_generations": 0,
        "save_strategy": "no",
        "report_to": "none",
        "use_cpu": True,
        "disable_tqdm": True,
    }
    return PPOConfig(output_dir=str(folder), **(defaults | options))


def token_prompts(count: int = 8) -> Dataset:
    """Prompts of 3 or 4 token ids, each another one."""
    return Dataset.from_list([{"input_ids": [5, 6, 10 + row, *[7] * (row % 2)]} for row in range(count)])


def trl_trainer(folder, options=None, **arguments) -> PPOTrainer:
    """A trainer of whole models on token ids; `options` go to the configuration, the rest to the constructor."""
    defaults = {
        "args": trl_options(folder, **(options or {})),
        "processing_class": tiny_tokenizer(),
        "model": tiny_causal_lm(),
        "ref_model": None,
        "reward_model": tiny_classifier(seed=1),
        "train_dataset": token_prompts(),
        "value_model": tiny_classifier(seed=2),
    }
    return PPOTrainer(**(defaults | arguments))


def train_in(folder, options=None, **arguments) -> PPOTrainer:
    """A trainer that has trained."""
    trainer = trl_trainer(folder, options, **arguments)
    trainer.train()
    return trainer


def lora(**options) -> LoraConfig:
    return LoraConfig(r=4, target_modules="all-linear", **options)
