"""`rlhf sample`, run as it is typed, on tiny models."""

import json

import pytest

from rlhf.best_of_n import BestOfN
from rlhf.cli import main
from rlhf.cli_sample import _write
from rlhf.data import Row, load_rows
from rlhf.generation import Generation
from rlhf.rewards import LexiconReward
from tests.data.helpers import write_lines
from tests.evaluation.tiny_runs import save_adapter, save_reward_model
from tests.tiny import save_tiny


def run(*arguments):
    """The exit code of the command."""
    with pytest.raises(SystemExit) as caught:
        main(["sample", *(str(argument) for argument in arguments)])
    return caught.value.code or 0


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sample")
    base = save_tiny(folder / "base")
    return {
        "base": base,
        "adapter": save_adapter(base, folder / "adapter", seed=1),
        "reward": save_reward_model(folder / "reward", seed=2),
    }


@pytest.fixture
def prompts(tmp_path):
    return write_lines(
        tmp_path / "prompts.jsonl",
        *({"prompt": f"Film review: A {word}", "answer": word} for word in ("great", "dull", "good")),
    )


def sampled(target):
    return load_rows(target, "sft")


def test_answers_on_the_screen(world, capsys):
    assert run("--model", world["base"], "--prompt", "Film review:", "--prompt", "You", "--max_new_tokens", 5) == 0
    shown = capsys.readouterr().out
    assert "prompt: Film review:" in shown and "prompt: You" in shown
    assert shown.count("completion:") == 2
    assert "score" not in shown


def test_the_best_on_the_screen(world, capsys):
    best = ("--best_of", 3, "--reward_model", world["reward"])
    assert run("--model", world["base"], "--prompt", "You", "--chat", "--max_new_tokens", 5, *best) == 0
    shown = capsys.readouterr().out
    assert "user: You" in shown and "assistant:" in shown
    assert "the best of 3 (the lowest" in shown


def test_rows_are_written_in_the_contracts_form(world, prompts, tmp_path):
    target = tmp_path / "best.jsonl"
    best = ("--best_of", 4, "--reward_model", "lexicon", "--max_new_tokens", 12)
    assert run("--model", world["base"], "--prompts", prompts, *best, "--output", target) == 0
    rows, lexicon = sampled(target), LexiconReward()
    assert [row["answer"] for row in rows] == ["great", "dull", "good"]
    for row in rows:
        assert len(row["scores"]) == 4
        assert row["score"] == max(row["scores"])
        assert row["score"] == lexicon([row["prompt"]], [row["completion"]])[0]
        assert isinstance(row["finished"], bool)


def test_a_seed_repeats_the_answers_and_an_adapter_changes_them(world, prompts, tmp_path):
    def completions(name, *options):
        target = tmp_path / f"{name}.jsonl"
        assert run(*options, "--prompts", prompts, "--limit", 2, "--max_new_tokens", 8, "--output", target) == 0
        return [row["completion"] for row in sampled(target)]

    plain = completions("plain", "--model", world["base"])
    assert len(plain) == 2
    assert completions("again", "--model_name_or_path", world["base"]) == plain
    assert completions("other", "--model", world["base"], "--seed", 7) != plain
    adapted = completions("adapted", "--model", world["base"], "--adapter", world["adapter"])
    assert adapted != plain
    assert completions("run", "--model", world["adapter"]) == adapted


def test_a_4_bit_base_answers_with_its_adapter(world, tmp_path):
    target = tmp_path / "quantized.jsonl"
    arguments = ("--prompt", "You", "--max_new_tokens", 4, "--dtype", "float32", "--output", target)
    assert run("--model", world["adapter"], "--load_in_4bit", *arguments) == 0
    assert len(sampled(target)) == 1


def test_a_function_of_ones_own_gets_the_columns(world, prompts, tmp_path, monkeypatch):
    (tmp_path / "sample_rewards.py").write_text(
        "def right(prompts, completions, answer, finished, **columns):\n"
        "    return [float(word in prompt) for word, prompt in zip(answer, prompts, strict=True)]\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    target = tmp_path / "scored.jsonl"
    assert (
        run(
            "--model", world["base"], "--prompts", prompts, "--reward_model", "sample_rewards:right", "--output", target
        )
        == 0
    )
    assert [(row["score"], row.get("scores")) for row in sampled(target)] == [(1.0, None)] * 3


def test_an_empty_response_is_no_row_and_is_counted(tmp_path, capsys):
    def answer(text):
        return BestOfN(Generation([1], [2], [0.0], True), text, None, [])

    target = tmp_path / "out.jsonl"
    _write(
        target, [Row({"prompt": "a"}), Row({"prompt": "b"})], iter([answer(" \n"), answer(" fine")]), overwrite=False
    )
    assert [row["prompt"] for row in sampled(target)] == ["b"]
    assert "Left out 1 empty responses" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("arguments", "messages"),
    [
        (["--prompt", "a", "--best_of", 0], ["at least one response", "Remedy"]),
        (["--prompt", "a", "--best_of", 2], ["needs a reward", "Remedy"]),
        (["--prompt", "a", "--best_of", 2, "--temperature", 0], ["needs a reward", "the same response 2 times"]),
        ([], ["No prompt was given", "--prompts FILE"]),
        (["--prompt", "a", "--prompts", "b.jsonl"], ["given twice"]),
        (["--prompts", "nowhere.jsonl"], ["There is no file", "nowhere.jsonl"]),
        (["--prompt", " "], ["empty"]),
        (["--prompt", "a"], ["nowhere/at/all does not exist", "Remedy"]),
        (["--prompt", "a", "--output", "x.txt"], ["no writer for '.txt'"]),
        (["--prompt", "a", "--max_new_tokens", 0], ["--max_new_tokens"]),
    ],
)
def test_what_is_wrong_is_said_before_a_model_is_loaded(arguments, messages, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run("--model", "nowhere/at/all", *arguments) == 2
    shown = capsys.readouterr().err
    for message in messages:
        assert message in shown
    # The model is looked for last.
    assert ("nowhere/at/all" in shown) == ("nowhere/at/all" in messages[0])
    assert "Traceback" not in shown


def test_a_file_is_not_overwritten_unless_asked(world, tmp_path, capsys):
    target = tmp_path / "out.jsonl"
    target.write_text("mine")
    arguments = ("--prompt", "You", "--max_new_tokens", 3, "--output", target)
    assert run("--model", "nowhere/at/all", *arguments) == 2
    assert "exists already" in capsys.readouterr().err
    assert target.read_text() == "mine"
    assert run("--model", world["base"], *arguments, "--force") == 0
    assert json.loads(target.read_text())["prompt"] == "You"
