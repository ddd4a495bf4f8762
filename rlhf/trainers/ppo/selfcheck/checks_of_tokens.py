"""Checks of the tokenizer and the chat template: what is trained, where a response ends, what rewards read."""

from typing import Any

from rlhf.data.chat import encode_completion, prompt_ids
from rlhf.generation import ends_of_turn
from rlhf.trainers.ppo.selfcheck.evidence import Evidence, Failure, NotApplicable
from rlhf.trainers.ppo.selfcheck.subject import Subject

ANSWER = "Paris."
PROMPT, COMPLETION = "Film review: The", " plot is thin, and the jokes are thinner."
# What tokenizers are known to change: spaces before punctuation, runs of spaces, capitals, accents, other scripts.
TEXTS = (
    "It 's here , and it is n't gone !",
    "two  spaces,\n\na\ttab",
    "Ein Süßwasserfisch, naïve Ñandú; ПРИВЕТ, 漢字 🙂",
)


def padding_ends_nothing(subject: Subject) -> Evidence:
    """The pad token is another than EOS."""
    tokenizer: Any = subject.tokenizer()
    if tokenizer.pad_token_id is None or tokenizer.pad_token_id == tokenizer.eos_token_id:
        raise Failure(
            f"The pad token is EOS ({tokenizer.eos_token!r}): masking the padding masks every ending, and no model "
            "learns to stop.",
            'Set "pad_token" in tokenizer_config.json to a token that is not used otherwise.',
        )
    return f"pad {_name(tokenizer, tokenizer.pad_token_id)}, EOS {_name(tokenizer, tokenizer.eos_token_id)}"


def decoding_gives_back_the_text(subject: Subject) -> Evidence:
    """Text that is encoded and decoded is the same, also that of a response decoded apart from its prompt."""
    tokenizer: Any = subject.tokenizer()
    for text in TEXTS:
        back = _decode(tokenizer, tokenizer(text)["input_ids"])
        if back != text:
            raise Failure(
                f"{text!r} becomes {back!r}: rewards, which read text, see something else than the policy wrote.",
                "Set clean_up_tokenization_spaces to false in tokenizer_config.json; a tokenizer that changes "
                "capitals or accents is not made for writing text.",
            )
    encoded = encode_completion(tokenizer, PROMPT, COMPLETION)
    response = _decode(tokenizer, encoded.input_ids[encoded.prompt_length :])
    if response != COMPLETION:
        raise Failure(
            f"The response {COMPLETION!r} decoded apart from its prompt is {response!r}: rewards read both joined, "
            "and see another text than the policy wrote.",
            "Give the prompts as conversations, whose answers begin without a space.",
        )
    return f"{len(TEXTS)} texts and a response came back unchanged"


def the_mask_covers_the_completion(subject: Subject) -> Evidence:
    """Of a prompt and its completion exactly the completion is trained, with its EOS."""
    tokenizer: Any = subject.tokenizer()
    encoded = encode_completion(tokenizer, PROMPT, COMPLETION)
    prompt, trained = encoded.input_ids[: encoded.prompt_length], encoded.input_ids[encoded.prompt_length :]
    eos = tokenizer.eos_token_id
    if eos in prompt_ids(tokenizer, PROMPT)[-1:]:
        raise Failure(
            "The tokenizer ends every text with EOS, prompts too: the policy would write after an end.",
            'Set "add_eos_token" to false in tokenizer_config.json, or take EOS out of the post-processor of '
            "tokenizer.json.",
        )
    if prompt != prompt_ids(tokenizer, PROMPT):
        raise Failure(
            f"The last token of the prompt {PROMPT!r} is another one when the completion {COMPLETION!r} follows: it is "
            "trained as part of the completion, and sampling starts from something else.",
            "Let prompts end where a word ends, and completions begin with the space.",
        )
    if trained[-1:] != [eos] or trained.count(eos) != 1:
        raise Failure(
            f"The trained tokens end with {_name(tokenizer, trained[-1])} and hold EOS {trained.count(eos)} times, "
            "not once at the end.",
            "Check eos_token in tokenizer_config.json: its text must be read as that one token.",
        )
    return f"{len(trained)} tokens of {len(encoded.input_ids)} are trained, the last is EOS"


def the_template_opens_the_assistants_turn(subject: Subject) -> Evidence:
    """The prompt of a conversation ends with the head of the assistant's turn, and an answer follows right on it."""
    tokenizer: Any = subject.tokenizer()
    conversation = _conversation(tokenizer)
    options = {"tokenize": True, "return_dict": True}
    closed = list(tokenizer.apply_chat_template(conversation, **options)["input_ids"])
    opened = prompt_ids(tokenizer, conversation)
    if opened == closed:
        raise Failure(
            "add_generation_prompt changes nothing in the chat template: the policy would have to write the head of "
            "its own turn.",
            "Add {% if add_generation_prompt %} with the head of the assistant's turn to the end of chat_template, "
            "or give the prompts as plain text.",
        )
    answered = encode_completion(tokenizer, conversation, [{"role": "assistant", "content": ANSWER}])
    if answered.input_ids[: len(opened)] != opened or ANSWER not in _decode(
        tokenizer, answered.input_ids[len(opened) :]
    ):
        raise Failure(
            f"A prompt ends with {_tail(tokenizer, opened)}, but the conversation with an answer does not go on from "
            f"there ({_tail(tokenizer, answered.input_ids)}): PPO would sample after something else than SFT and the "
            "reward model were trained on.",
            "Let chat_template write the same head of the assistant's turn before a given answer as before one that is "
            "to come.",
        )
    return f"the prompt ends with {tokenizer.decode(opened[len(closed) :])!r}"


def a_response_ends_where_a_turn_does(subject: Subject) -> Evidence:
    """Sampling stops at what ends an assistant's turn in the chat template, and at EOS."""
    tokenizer: Any = subject.tokenizer()
    stops = ends_of_turn(subject.causal_lm, tokenizer)
    named = ", ".join(_name(tokenizer, token) for token in stops)
    if not tokenizer.chat_template:
        return f"stops at {named}"
    encoded = encode_completion(tokenizer, _conversation(tokenizer), [{"role": "assistant", "content": ANSWER}])
    trained = encoded.input_ids[encoded.prompt_length :]
    if set(trained) & set(stops):
        return f"stops at {named}"
    special = [token for token in trained if token in tokenizer.all_special_ids]
    if special:
        raise Failure(
            f"The chat template ends a turn with {_name(tokenizer, special[-1])}, but sampling stops at {named}: "
            "responses would run on to response_length.",
            f"Give --stop_token_id {special[-1]} to PPO, or add it to eos_token_id in generation_config.json.",
        )
    raise Failure(
        f"The chat template ends the assistant's turn with no token at which sampling stops ({named}): the policy "
        "would never learn to stop.",
        "Add eos_token after the assistant's content in chat_template.",
    )


def every_token_has_an_embedding(subject: Subject) -> Evidence:
    """The tokenizer knows no token that the model has no embedding for."""
    tokenizer: Any = subject.tokenizer()
    rows = subject.causal_lm.get_input_embeddings().weight.shape[0]
    highest = max(tokenizer.get_vocab().values())
    if highest >= rows:
        raise Failure(
            f"{_name(tokenizer, highest)} is a token of the tokenizer, but the model has {rows:,} embeddings.",
            "Call model.resize_token_embeddings(len(tokenizer)) and save both, or use the model's own tokenizer.",
        )
    return f"{highest + 1:,} tokens, {rows:,} embeddings"


def _conversation(tokenizer: Any) -> list[dict[str, str]]:
    if not tokenizer.chat_template:
        raise NotApplicable("the tokenizer has no chat template; prompts are plain text")
    return [{"role": "user", "content": "What is the capital of France?"}]


def _decode(tokenizer: Any, ids: list[int]) -> str:
    """As the scorer decodes a response."""
    return str(tokenizer.decode(ids, skip_special_tokens=True))


def _tail(tokenizer: Any, ids: list[int], length: int = 8) -> str:
    return f"…{tokenizer.decode(ids[-length:])!r}"


def _name(tokenizer: Any, token: int) -> str:
    return f"{tokenizer.convert_ids_to_tokens(token)} ({token})"
