"""Models, tokenizers and adapters from folders or the hub: full precision, LoRA, or QLoRA.

`ModelOptions` are the options of every recipe; the functions below turn them into models. Everything that can
be checked is checked on the folders first (`rlhf.models.folders`), before a weight is read.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from accelerate import PartialState
from peft import LoraConfig, PeftModel, TaskType, get_peft_model
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from trl.trainer.model_config import ModelConfig

from rlhf.errors import ConfigError, MissingDependencyError, ModelError
from rlhf.models.attention import attend_by_products
from rlhf.models.folders import TOKENIZER, Location, check_adapter_folder, is_local, locate

Tuning = Literal["full", "lora", "qlora"]

# Tokens that vocabularies carry unused and that can stand for padding, the most fitting first.
PAD_CANDIDATES = (
    "<|finetune_right_pad_id|>",
    "<|pad|>",
    "<pad>",
    "[PAD]",
    "<|endoftext|>",
    "<|reserved_special_token_0|>",
    "<unk>",
)


@dataclass
class ModelOptions(ModelConfig):
    """Which model, in which precision, and which of its weights are trained."""

    dtype: str | None = field(
        default="auto",
        metadata={
            "help": "Precision of the base model. `auto`: bfloat16 where the device computes in it natively, "
            "else float32.",
            "choices": ["auto", "bfloat16", "float16", "float32"],
        },
    )
    tuning: Tuning = field(
        default="lora",
        metadata={"help": "What is trained: all weights (full), an adapter (lora), or one on a 4-bit base (qlora)."},
    )
    adapter: str | None = field(
        default=None,
        metadata={"help": "Folder of an adapter to start from. Its base model need not be given."},
    )
    use_bnb_nested_quant: bool = field(
        default=True,
        metadata={"help": "Whether the constants of 4-bit weights are quantized too (double quantization)."},
    )

    def __post_init__(self) -> None:
        problems = self._clashes()
        if problems:
            raise ConfigError(
                "Options of the model clash.",
                problems=problems,
                remedy="`tuning` alone chooses: full, lora, or qlora (4 bits).",
            )
        super().__post_init__()  # type: ignore[no-untyped-call]
        if self.load_in_4bit and self.tuning == "lora":
            self.tuning = "qlora"
        self.load_in_4bit = self.tuning == "qlora"
        self.use_peft = self.tuning != "full"

    def _clashes(self) -> list[str]:
        quantized = [name for name in ("load_in_4bit", "load_in_8bit") if getattr(self, name)]
        problems = []
        if self.tuning == "full":
            problems += [f"tuning=full can't train {name} weights" for name in quantized]
            problems += ["tuning=full goes without use_peft"] if self.use_peft else []
            problems += ["tuning=full can't start from an adapter: merge it first"] if self.adapter else []
        elif self.load_in_8bit and (self.tuning == "qlora" or self.load_in_4bit):
            problems.append("load_in_8bit and 4 bits exclude each other")
        return problems

    def torch_dtype(self) -> torch.dtype:
        """The precision of the base; weights that are all trained are kept in float32 unless told otherwise."""
        trained = self.tuning == "full" and self.dtype in (None, "auto")
        return torch.float32 if trained else resolve_dtype(self.dtype)

    def locate(self) -> Location:
        """The base and the adapter that these options name, both checked (`ModelError`)."""
        return locate(self.model_name_or_path, self.adapter)


def resolve_dtype(name: str | None, device: str | torch.device | None = None) -> torch.dtype:
    """The torch dtype of an option. `auto` is bfloat16 where `device` computes in it natively, else float32.

    A CPU without bfloat16 instructions emulates it, about 20 times slower than float32.
    """
    if name not in (None, "auto"):
        dtype: torch.dtype = getattr(torch, str(name))
        return dtype
    kind = torch.device(device).type if device is not None else ("cuda" if torch.cuda.is_available() else "cpu")
    if kind == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        capabilities = torch.cpu.get_capabilities() if kind == "cpu" else {}
        native = any(capabilities.get(key) for key in ("avx512_bf16", "amx_bf16", "bf16"))
    return torch.bfloat16 if native else torch.float32


def load_tokenizer(
    path: str, *, padding_side: Literal["left", "right"] = "left", needs_eos: bool = True
) -> PreTrainedTokenizerBase:
    """Load the tokenizer of a model or adapter folder, with a pad token that is not its EOS.

    Where pad and EOS are the same token, masking the padding masks every EOS, and no model learns to stop.

    Raises:
        ModelError: there is no tokenizer, no EOS, or no token left that could stand for padding.
    """
    location = locate(path)
    own = location.adapter is not None and any((Path(location.adapter) / part).is_file() for part in TOKENIZER)
    source = str(location.adapter) if own else location.base
    with hub_errors(source):
        tokenizer = AutoTokenizer.from_pretrained(source, padding_side=padding_side)
    if needs_eos and tokenizer.eos_token_id is None:
        raise ModelError(
            f"The tokenizer of {path} has no end-of-sequence token.",
            remedy='Set "eos_token" in its tokenizer_config.json.',
        )
    if tokenizer.pad_token_id is None or tokenizer.pad_token_id == tokenizer.eos_token_id:
        tokenizer.pad_token = _spare_token(tokenizer, path)
    return tokenizer


def load_causal_lm(
    options: ModelOptions, *, adapter: str | None = None, trainable: bool = False
) -> PreTrainedModel | PeftModel:
    """Load the causal language model of `options`.

    Args:
        options: names the base model, its precision, and what is tuned.
        adapter: folder of an adapter to put on the base.
        trainable: make ready for training what `options.tuning` says: all weights, or the adapter (a fresh
            one where `adapter` is None). Otherwise the model is frozen.

    Returns:
        the model in evaluation mode. Adapters are float32 on any base; the one to train is named `default`.
    """
    base_name = options.locate().base
    if adapter is not None:
        check_adapter_folder(adapter)
    base = load_base(AutoModelForCausalLM, base_name, options)
    full = trainable and adapter is None and options.tuning == "full"
    model: PreTrainedModel | PeftModel = base.requires_grad_(full)
    if adapter is not None:
        model = PeftModel.from_pretrained(base, adapter, is_trainable=trainable)
    elif trainable and not full:
        model = get_peft_model(base, lora_config(options))
    model.eval()
    return model


def load_base(auto_class: Any, name: str, options: ModelOptions, **kwargs: Any) -> PreTrainedModel:
    """Load whole weights by an Auto class, quantized where `options` say so."""
    attend_by_products()
    dtype = options.torch_dtype()
    if options.attn_implementation is not None:
        kwargs["attn_implementation"] = options.attn_implementation
    with hub_errors(name):
        model: PreTrainedModel = auto_class.from_pretrained(
            name,
            dtype=dtype,
            revision=options.model_revision,
            quantization_config=quantization_config(options, dtype),
            **kwargs,
        )
    keep_4bit_weights_unpacked(model)
    return model


def quantization_config(options: ModelOptions, dtype: torch.dtype) -> BitsAndBytesConfig | None:
    """The bitsandbytes configuration of `options`: nf4, doubly quantized by default; heads are left whole."""
    if not (options.load_in_4bit or options.load_in_8bit):
        return None
    return BitsAndBytesConfig(  # type: ignore[no-untyped-call]
        load_in_4bit=options.load_in_4bit,
        load_in_8bit=options.load_in_8bit,
        bnb_4bit_compute_dtype=dtype,
        bnb_4bit_quant_type=options.bnb_4bit_quant_type,
        bnb_4bit_use_double_quant=options.use_bnb_nested_quant,
        bnb_4bit_quant_storage=options.bnb_4bit_quant_storage,
        llm_int8_skip_modules=["lm_head", "score"],
    )


def keep_4bit_weights_unpacked(model: nn.Module) -> None:
    """Stop bitsandbytes from repacking 4-bit weights in place at the first evaluation forward on a CPU.

    The packed form (used where the CPU has AVX512-BF16) is right for inference only: gradients of later
    training steps come out wrong, without an error.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False  # type: ignore[assignment]


def lora_config(options: ModelOptions, task_type: str = TaskType.CAUSAL_LM) -> LoraConfig:
    """A fresh `LoraConfig` (PEFT changes the one it is given), on all linear layers unless told otherwise."""
    return LoraConfig(
        task_type=task_type,
        r=options.lora_r,
        lora_alpha=options.lora_alpha,
        lora_dropout=options.lora_dropout,
        target_modules=options.lora_target_modules or "all-linear",
        target_parameters=options.lora_target_parameters,
        modules_to_save=options.lora_modules_to_save,
        use_rslora=options.use_rslora,
        use_dora=options.use_dora,
    )


def context_length(name: str) -> int | None:
    """The most tokens that a model (a folder or hub id) takes at once; None where its configuration doesn't say."""
    with hub_errors(name):
        config = AutoConfig.from_pretrained(name).get_text_config()
    return getattr(config, "max_position_embeddings", None)


def align_pad_token(model: PreTrainedModel | PeftModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Give the model's configurations the tokenizer's pad token, so that both mean the same by padding."""
    text_config = model.config.get_text_config()
    text_config.pad_token_id = tokenizer.pad_token_id
    generation = getattr(model, "generation_config", None)
    if generation is not None:
        generation.pad_token_id = tokenizer.pad_token_id


def train_in_float32(model: nn.Module) -> None:
    """Bring trainable weights back to float32 (TRL's trainers turn adapters on a 4-bit base to bfloat16)."""
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()


def print_trainable(model: nn.Module) -> None:
    """Print, once in all processes, how many of the parameters are trained."""
    PartialState().print(trainable_summary(model))


def trainable_summary(model: nn.Module) -> str:
    """One line: `trainable parameters: 4.9 M of 139.4 M (3.5%)`. 4-bit weights are counted unpacked."""
    trained = total = 0
    for parameter in model.parameters():
        # bitsandbytes stores two 4-bit weights in a byte
        count = parameter.numel() * (2 if type(parameter).__name__ == "Params4bit" else 1)
        total += count
        trained += count if parameter.requires_grad else 0
    return f"trainable parameters: {_millions(trained)} of {_millions(total)} ({trained / total:.1%})"


def _millions(count: int) -> str:
    return f"{count / 1e6:.1f} M" if count >= 1e6 else f"{count:,}"


def _spare_token(tokenizer: PreTrainedTokenizerBase, path: str) -> str:
    vocabulary = tokenizer.get_vocab()
    for token in PAD_CANDIDATES:
        if token in vocabulary and token != tokenizer.eos_token:
            return token
    raise ModelError(
        f"The tokenizer of {path} has no token that could stand for padding: its pad token is its EOS "
        f"({tokenizer.eos_token!r}) or missing.",
        problems=[f"looked for {', '.join(PAD_CANDIDATES)}"],
        remedy='Add one (tokenizer.add_special_tokens({"pad_token": "<|pad|>"})), resize the embeddings to '
        "match, and save both.",
    )


@contextmanager
def hub_errors(name: str) -> Iterator[None]:
    """Say in one line what transformers says in twenty when a name is no model or can't be read."""
    try:
        yield
    except ImportError as error:
        if "bitsandbytes" in str(error):
            raise MissingDependencyError("bitsandbytes", "quantization", "tuning=qlora") from error
        raise
    except (OSError, ValueError) as error:
        where = "the folder" if is_local(name) else "the hub (and no such folder exists here)"
        raise ModelError(
            f"{name} can't be loaded from {where}: {str(error).strip().splitlines()[0]}",
            remedy="Check the name; for a hub model, the network and `hf auth login`.",
        ) from error
