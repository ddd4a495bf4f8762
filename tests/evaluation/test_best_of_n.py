"""The reference's best of n as a baseline in the report."""

import json
import math
import re
from contextlib import redirect_stderr
from io import StringIO

import numpy as np
import pytest

from recipes.evaluate import main
from rlhf.errors import ConfigError
from rlhf.evaluation.best_of_n import best_rows, draw_candidates
from rlhf.evaluation.options import EvaluationOptions
from rlhf.evaluation.policies import Sampling, answer
from rlhf.evaluation.progress import Quiet
from rlhf.evaluation.samples import by_policy, read_samples
from tests.evaluation.test_options import GIVEN
from tests.evaluation.test_report import arguments
from tests.evaluation.tiny_runs import PROMPTS, tiny_world
from tests.tiny import tiny_causal_lm, tiny_tokenizer

SAMPLING = Sampling(max_new_tokens=6, temperature=1.0, seed=0, generation_batch_size=5, scoring_batch_size=3)
TEXTS_COMPARED = 6 + 8  # of tiny_world: " great 0" to " great 5", " awful 1" to " awful 8"
NAMES = {"sft_best_of_2": 2, "sft_best_of_4": 4}


def test_the_best_of_the_first_n_is_kept_the_first_of_equals():
    # Two prompts and four rounds; prompt 0 has the scores 1, 3, 3, 2 and prompt 1 has 5, 0, 1, 9.
    scores = [1.0, 5.0, 3.0, 0.0, 3.0, 1.0, 2.0, 9.0]
    candidates = [{"prompt_index": i % 2, "completion": str(i), "reward": score} for i, score in enumerate(scores)]
    rows = best_rows(candidates, 2, NAMES)
    assert [(row["policy"], row["prompt_index"], row["completion"], row["reward"]) for row in rows] == [
        ("sft_best_of_2", 0, "2", 3.0),
        ("sft_best_of_2", 1, "1", 5.0),
        ("sft_best_of_4", 0, "2", 3.0),
        ("sft_best_of_4", 1, "7", 9.0),
    ]
    assert {row["log_ratio"] for row in rows[:2]} == {math.log(2) - 1 / 2}
    assert {row["log_ratio"] for row in rows[2:]} == {math.log(4) - 3 / 4}


def test_candidates_are_apart_from_the_policy_s_own_answers_and_fewer_are_the_first_of_more():
    model, tokenizer = tiny_causal_lm(), tiny_tokenizer()
    own = answer(model, tokenizer, PROMPTS, SAMPLING, Quiet())
    four = draw_candidates(model, tokenizer, PROMPTS, 4, SAMPLING, Quiet())
    two = draw_candidates(model, tokenizer, PROMPTS, 2, SAMPLING, Quiet())
    assert [one.response_ids for one in two] == [one.response_ids for one in four[: 2 * len(PROMPTS)]]
    for i, one in enumerate(own):
        drawn = [one.response_ids, *(other.response_ids for other in four[i :: len(PROMPTS)])]
        assert len({tuple(ids) for ids in drawn}) == 5
        assert {tuple(other.prompt_ids) for other in four[i :: len(PROMPTS)]} == {tuple(one.prompt_ids)}


def test_names_curves_and_what_clashes():
    options = EvaluationOptions(policies={"base": None, "sft": "s", "ppo": "p"}, best_of=[4, 16], **GIVEN)
    assert options.measured == ["base", "sft", "ppo", "sft_best_of_4", "sft_best_of_16"]
    assert options.all_curves == {"ppo": ["ppo"], "sft_best_of_n": ["sft_best_of_4", "sft_best_of_16"]}
    with pytest.raises(ConfigError) as caught:
        EvaluationOptions(policies={"sft": "s", "sft_best_of_4": "x"}, best_of=[4, 1, 4], **GIVEN)
    for part in ("at least 2", "stands there twice", "sft_best_of_4 is the name of a policy"):
        assert part in str(caught.value)


def test_without_it_nothing_is_drawn():
    options = EvaluationOptions(policies={"base": None, "sft": "s"}, **GIVEN)
    assert options.measured == ["base", "sft"]
    assert options.all_curves == {}


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    world = tiny_world(tmp_path_factory.mktemp("world"))
    folder = tmp_path_factory.mktemp("out")
    with redirect_stderr(StringIO()) as shown:
        main([*arguments(world, folder, num_prompts=16), "--best_of", "2", "8", "--kl_targets", "0.1", "3"])
    (folder / "stderr").write_text(shown.getvalue())
    return folder


@pytest.fixture(scope="module")
def result(out):
    return json.loads((out / "report.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def rows(out):
    return by_policy(read_samples(out / "raw" / "samples.jsonl"))


def test_the_report_has_it_like_a_policy(result, rows):
    assert list(result["policies"]) == ["base", "sft", "ppo", "sft_best_of_2", "sft_best_of_8"]
    assert result["best_of"]["sft_best_of_8"] == {"policy": "sft", "n": 8}
    for name, n in (("sft_best_of_2", 2), ("sft_best_of_8", 8)):
        figures, own = result["policies"][name], rows[name]
        assert len(own) == 16
        for figure, field in (("reward_mean", "reward"), ("gold_reward_mean", "gold_reward"), ("judge_mean", "judge")):
            assert figures[figure] == pytest.approx(np.mean([getattr(one, field) for one in own]))
        assert figures["kl_to_sft"] == pytest.approx(math.log(n) - (n - 1) / n)
        assert figures["ci95"]["kl_to_sft"] == pytest.approx([figures["kl_to_sft"]] * 2)
        assert figures["perplexity_general"] is None
        assert "perplexity_ratio" not in result["differences"][name]["base"]
        wins = [a.reward > b.reward for a, b in zip(own, rows["sft"], strict=True)]
        assert result["win_rates"][name]["reward"]["wins"] == sum(wins)


def test_more_draws_never_score_less(result, rows):
    pairs = list(zip(rows["sft_best_of_2"], rows["sft_best_of_8"], strict=True))
    assert all(two.reward <= eight.reward for two, eight in pairs)
    assert any(two.reward < eight.reward for two, eight in pairs)
    gains = [result["policies"][name]["reward_gain"] for name in ("sft", "sft_best_of_2", "sft_best_of_8")]
    assert gains == sorted(gains)


def test_its_curve_runs_through_all_n_and_is_not_extrapolated(result):
    curve = result["equal_kl"]["sft_best_of_n"]
    assert [point["policy"] for point in curve["points"]] == ["sft_best_of_2", "sft_best_of_8"]
    two = curve["points"][0]
    assert curve["at"][0]["gain"] == pytest.approx(two["gain"] * 0.1 / two["kl"])
    assert curve["at"][1]["gain"] is None


def test_the_headline_is_about_trained_policies_and_the_findings_about_all(result):
    assert "best of" not in result["verdict"]["headline"]
    texts = {one["subject"]: one["text"] for one in result["verdict"]["findings"] if "nats" in one["text"]}
    assert "at a KL of at most 1.2 nats" in texts["SFT best of 8"]  # log 8 - 7/8 = 1.204
    assert "at most" not in texts["PPO"]


def test_the_progress_bar_ends_at_its_end(out):
    done, total = re.findall(r"(\d+)/(\d+) ", (out / "stderr").read_text())[-1]
    # 16 prompts: 3 policies answer, and so do 8 candidates; SFT reads 2 policies' answers, and all 3 policies 4 texts;
    # the reward model scores 3 + 8 answers to a prompt and the comparisons' texts, two judges 3 + 2.
    assert int(total) == 16 * (3 + 8 + 2) + 3 * 4 + 16 * (3 + 8) + TEXTS_COMPARED + 16 * 2 * (3 + 2)
    assert done == total


def test_the_page_shows_it_and_marks_the_bound(out):
    text = (out / "report.html").read_text(encoding="utf-8")
    assert "≤ 1.20" in text and "≤ 0.19" in text  # log 2 - 1/2 = 0.193
    assert text.count("≤") == 2
    assert "SFT best of 8" in text
    assert "log n − (n − 1)/n" in text
    assert "Hollow: best of n" in text
