"""Tiny models and tokenizers, built in memory: real architectures, real training steps, nothing downloaded."""

from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    LlamaForSequenceClassification,
    PreTrainedTokenizerFast,
)

CORPUS = (
    "Film review: A gorgeous, moving film with a great cast. Film review: The plot is thin and the jokes are thinner. "
    "You are a helpful assistant. What is the capital of France? Paris is the capital of France. user assistant system "
    "good bad better worse best worst great awful funny dull one two three four five six seven eight nine ten"
)
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer of about 400 tokens with the special tokens of SmolLM2; pad differs from EOS."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([CORPUS] * 4, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        unk_token="<|endoftext|>",
        padding_side="left",
        chat_template=CHAT_TEMPLATE,
        model_max_length=512,
    )


def tiny_config(layers: int = 3) -> LlamaConfig:
    return LlamaConfig(
        vocab_size=len(tiny_tokenizer()),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        tie_word_embeddings=True,
        initializer_range=0.2,
    )


def tiny_causal_lm(layers: int = 3, seed: int = 0) -> LlamaForCausalLM:
    """A Llama of 3 layers and 32 dimensions in float32, in evaluation mode."""
    torch.manual_seed(seed)
    return LlamaForCausalLM(tiny_config(layers)).eval()


def tiny_classifier(layers: int = 3, seed: int = 0) -> LlamaForSequenceClassification:
    """The same trunk with a score head of one label."""
    torch.manual_seed(seed)
    config = tiny_config(layers)
    config.num_labels = 1
    return LlamaForSequenceClassification(config).eval()


def save_tiny(folder: str | Path, layers: int = 3, seed: int = 0) -> Path:
    """Write a tiny causal language model and its tokenizer as a normal model folder."""
    folder = Path(folder)
    tiny_causal_lm(layers, seed).save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder
