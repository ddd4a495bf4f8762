"""Tiny models, roles, trainers and tokenizers that are broken in one way each, for the tests of the self-check."""

import torch
from peft import LoraConfig
from tokenizers import decoders, normalizers, processors
from torch import nn
from transformers import LlamaForSequenceClassification, LlamaModel
from transformers.modeling_outputs import SequenceClassifierOutput

from rlhf.models.adapters import tuner_layers
from rlhf.models.shared_roles import SharedRoles
from rlhf.trainers.ppo.trainer import PPOTrainer
from tests.tiny import tiny_causal_lm, tiny_config, tiny_tokenizer

# Models. `decoder_is` and `block_is` put the broken part into an otherwise sound one.


class BlindToMask(LlamaModel):
    """Attends to padding too."""

    def forward(self, *args, attention_mask=None, **kwargs):
        blind = None if attention_mask is None else torch.ones_like(attention_mask)
        return super().forward(*args, attention_mask=blind, **kwargs)


class SharperWithCache(LlamaModel):
    """Gives other states when it writes with a cache than when it reads."""

    def forward(self, *args, use_cache=None, **kwargs):
        output = super().forward(*args, use_cache=use_cache, **kwargs)
        if use_cache:
            output.last_hidden_state = output.last_hidden_state * 3.0
        return output


class LooksBackAtEmbeddings(LlamaModel):
    """Adds the embeddings to the last states, past all layers."""

    def forward(self, input_ids=None, inputs_embeds=None, **kwargs):
        embeddings = self.embed_tokens(input_ids) if inputs_embeds is None else inputs_embeds
        output = super().forward(inputs_embeds=embeddings, **kwargs)
        output.last_hidden_state = output.last_hidden_state + embeddings
        return output


class DropsOut(nn.Module):
    """Drops out in evaluation mode too, in batches of a size of at least `rows`."""

    def __init__(self, rows=1):
        super().__init__()
        self.rows = rows

    def forward(self, hidden):
        return nn.functional.dropout(hidden, 0.2, training=len(hidden) >= self.rows)


class MixesRows(nn.Module):
    """Takes a part of the batch's mean off each row."""

    def forward(self, hidden):
        return hidden - 0.3 * hidden.mean(0, keepdim=True)


class CountsItsRuns(nn.Module):
    """Changes in a forward."""

    def __init__(self):
        super().__init__()
        self.register_buffer("runs", torch.zeros(()))

    def forward(self, hidden):
        self.runs += 1
        return hidden


def decoder_is(decoder_class):
    """A causal language model on that kind of decoder."""
    model = tiny_causal_lm()
    model.model.__class__ = decoder_class
    return model


def block_is(module):
    """A causal language model with a module after one of its feed-forward blocks."""
    model = tiny_causal_lm()
    model.model.layers[1].mlp = nn.Sequential(model.model.layers[1].mlp, module)
    return model


class ScoresLastColumn(LlamaForSequenceClassification):
    """A reward model that reads its score off the last column, padding or not."""

    def forward(self, input_ids, attention_mask, **kwargs):
        hidden = self.model(input_ids, attention_mask=attention_mask).last_hidden_state
        return SequenceClassifierOutput(logits=self.score(hidden[:, -1]))


def scores_last_column():
    torch.manual_seed(0)
    config = tiny_config()
    config.num_labels = 1
    return ScoresLastColumn(config).eval()


# Roles.


def adapter_shape(**options):
    return LoraConfig(r=8, target_modules="all-linear", **options)


def roles_of(model, roles_class=SharedRoles, **shape):
    return roles_class.build(model, new_adapter=adapter_shape(**shape))


class ForgetsTheValueHead(SharedRoles):
    """Loads all but the value head."""

    def load(self, folder):
        kept = {name: weight.clone() for name, weight in self.value_head.state_dict().items()}
        super().load(folder)
        self.value_head.load_state_dict(kept)


def value_shares_the_policys_weights():
    """Roles whose value adapter has a factor in common with the policy's."""
    roles = roles_of(tiny_causal_lm())
    for layer in tuner_layers(roles.model):
        layer.lora_B["value"] = layer.lora_B["default"]
    return roles


# Trainers.


class DoesNotClip(PPOTrainer):
    """Logs the norms, and leaves the gradients as they are."""

    def _clip_grad_norm(self, model):
        for role, parameters in self.roles.role_parameters().items():
            self.meter.add(f"grad_norm/{role}", torch.stack([p.grad.norm() for p in parameters]).norm())


class ChargesTwice(PPOTrainer):
    """Takes the penalty for a missing EOS off twice."""

    def roll_out(self, rows):
        penalty = self.args.missing_eos_penalty
        self.args.missing_eos_penalty = 2 * penalty
        try:
            return super().roll_out(rows)
        finally:
            self.args.missing_eos_penalty = penalty


class StandsStill(PPOTrainer):
    """Takes steps of length 0."""

    def create_optimizer(self, model=None):
        optimizer = super().create_optimizer(model)
        for group in optimizer.param_groups:
            group["lr"] = 0.0
        return optimizer


# Tokenizers.


def pads_with_eos():
    tokenizer = tiny_tokenizer()
    tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def loses_capitals():
    tokenizer = tiny_tokenizer()
    tokenizer.backend_tokenizer.normalizer = normalizers.Lowercase()
    return tokenizer


def loses_the_first_space():
    tokenizer = tiny_tokenizer()
    tokenizer.backend_tokenizer.decoder = decoders.Sequence([decoders.ByteLevel(), decoders.Strip(" ", 1, 0)])
    return tokenizer


def ends_prompts_with_eos():
    tokenizer = tiny_tokenizer()
    eos = (tokenizer.eos_token, tokenizer.eos_token_id)
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=f"$A {eos[0]}", special_tokens=[eos]
    )
    return tokenizer


def with_template(template):
    """A tokenizer with another chat template."""
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = template
    return tokenizer
