"""Write a language model that is stored as one GGUF file as a normal model folder.

Used by fetch_assets.py; on its own: `python scripts/convert_gguf.py model.gguf some/folder`.
"""

import argparse
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from rlhf.errors import ModelError, exit_on_error

PAD_TOKEN = "<|endoftext|>"
PROBE = "The film was a delight from its first minute to its last."


def convert(gguf: Path, folder: Path, *, name: str) -> dict[str, Any]:
    """Write config, weights (bfloat16), tokenizer and chat template of `gguf` to `folder`.

    Args:
        gguf: the model file; its quantized weights are expanded to float32 first.
        folder: is made; must not hold a model yet.
        name: the model's name, kept in its config.

    Returns:
        Facts about the model: parameters, layers, the mean change of a logit by rounding the weights to bfloat16.

    Raises:
        ModelError: the tokenizer has no `<|endoftext|>`, or the folder's model, loaded again, computes other logits.
    """
    expanded = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    tokenizer = _tokenizer(gguf, expanded.config.vocab_size)
    model = _without_quantization(expanded, tokenizer, name)
    exact = _logits(model, tokenizer)
    for parameter in model.parameters():
        parameter.data = parameter.data.bfloat16().float()
    # float32 arithmetic on all sides: bfloat16 kernels are slow, and differ, where the CPU has none of its own.
    rounded = _logits(model, tokenizer)
    model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)

    reloaded = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    if not torch.equal(_logits(reloaded, AutoTokenizer.from_pretrained(folder)), rounded):
        raise ModelError(f"{folder}: the saved model computes other logits than the one it was saved from.")
    return {
        "parameters": reloaded.num_parameters(),
        "layers": reloaded.config.num_hidden_layers,
        "mean_logit_change_by_bfloat16": round((rounded - exact).abs().mean().item(), 4),
    }


def _tokenizer(gguf: Path, vocabulary: int) -> PreTrainedTokenizerBase:
    """The tokenizer, with a pad token that isn't EOS: as pad, EOS would be masked out of every loss."""
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    # A token that the file lacks may have been added on loading: then the model has no row for it.
    if tokenizer.get_vocab().get(PAD_TOKEN, vocabulary) >= vocabulary:
        raise ModelError(f"{gguf}: the vocabulary lacks {PAD_TOKEN}, which is to become the pad token.")
    tokenizer.pad_token = PAD_TOKEN
    return tokenizer


def _without_quantization(expanded: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, name: str) -> PreTrainedModel:
    """A model with the same weights that may be saved: one loaded from GGUF refuses `save_pretrained`."""
    config = expanded.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    config._model_name_or_path = name
    config.name_or_path = name
    config.pad_token_id = tokenizer.pad_token_id
    tokenizer.model_max_length = config.max_position_embeddings
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.load_state_dict(expanded.state_dict())
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return model.eval()


@torch.no_grad()
def _logits(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> torch.Tensor:
    """Logits [1, T, vocabulary] of one sentence."""
    return model(**tokenizer(PROBE, return_tensors="pt")).logits


@exit_on_error()
def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("gguf", type=Path)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    print(convert(arguments.gguf, arguments.folder, name=arguments.gguf.stem))


if __name__ == "__main__":
    main()
