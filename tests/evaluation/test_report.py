"""A whole evaluation of tiny models, from the command line to the page."""

import json
import re
from html.parser import HTMLParser

import pytest

from recipes.evaluate import main
from rlhf.evaluation import report
from rlhf.evaluation.page import render
from rlhf.evaluation.samples import by_policy, read_samples
from tests.evaluation.tiny_runs import tiny_world

REQUIRED = {"reward_mean", "reward_std", "kl_to_sft", "judge_mean"} | {
    "gold_reward_mean",
    "length_mean",
    "distinct_2",
    "perplexity_general",
}
HOSTILE = '</p><script>alert(1)</script><img src=x onerror=alert(2)> {{ 7*7 }} \u202etxt & "q" \''


def arguments(world, out, **changed):
    given = {
        "model_name_or_path": world["base"],
        "dtype": "float32",
        "policies": json.dumps({"base": None, "sft": str(world["sft"]), "ppo": str(world["ppo"])}),
        "reward_model": world["reward"],
        "gold_reward_model": world["gold"],
        "preference_dataset": world["comparisons"],
        "prompt_dataset": world["prompts"],
        "general_dataset": world["general"],
        "num_prompts": 12,
        "max_new_tokens": 6,
        "generation_batch_size": 5,
        "output_dir": out / "raw",
        "report_dir": out,
        "stages": out / "stages.json",
        **changed,
    }
    return [word for name, value in given.items() if value is not None for word in (f"--{name}", str(value))]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return tiny_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def out(world, tmp_path_factory):
    folder = tmp_path_factory.mktemp("out")
    (folder / "stages.json").write_text('{"sft": 12.5}')
    main(arguments(world, folder))
    return folder


@pytest.fixture(scope="module")
def result(out):
    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    return json.loads((out / "report.json").read_text(encoding="utf-8"), parse_constant=refuse)


def test_every_promised_figure_is_there(result):
    assert set(result["policies"]) == {"base", "sft", "ppo"}
    for figures in result["policies"].values():
        assert all(isinstance(figures[name], float) for name in REQUIRED)
    assert 0 <= result["reward_model"]["heldout_accuracy"] <= 1
    assert len(result["reward_model"]["ci95"]) == 2
    assert sum(row["pairs"] for row in result["reward_model"]["by_margin"]) == 18
    assert result["policies"]["sft"]["kl_to_sft"] == 0.0
    assert result["policies"]["ppo"]["kl_to_sft"] > 0.0
    assert result["wall_seconds"]["sft"] == 12.5
    assert result["wall_seconds"]["evaluate"] > 0
    assert result["seeds"]["evaluate"] == result["settings"]["seed"]
    assert set(result["differences"]["ppo"]) == {"sft", "base"}
    assert set(result["win_rates"]["ppo"]) == {"reward", "gold_reward", "judge"}


def test_the_run_directory_tells_where_it_comes_from(out, world):
    manifest = json.loads((out / "raw" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["status"] == "finished"
    assert {parent["path"] for parent in manifest["parents"]} >= {str(world["sft"]), str(world["reward"])}
    assert {entry["path"] for entry in manifest["data"]} == {
        str(world[name]) for name in ("prompts", "comparisons", "general")
    }


def test_figures_can_be_computed_again_from_the_raw_rows(out, result):
    samples = by_policy(read_samples(out / "raw" / "samples.jsonl"))
    for name, figures in result["policies"].items():
        rewards = [sample.reward for sample in samples[name]]
        assert figures["reward_mean"] == pytest.approx(sum(rewards) / len(rewards))
        ratios = [sample.log_ratio for sample in samples[name]]
        assert figures["kl_to_sft"] == pytest.approx(sum(ratios) / len(ratios))
        assert len(samples[name]) == result["settings"]["prompts"] == 12


class Page(HTMLParser):
    """Tags that are open, tags and attributes that occur, and the text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.words = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.words.append(data)


def test_the_page_stands_alone(out):
    text = (out / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert {"script", "link", "iframe", "img"} & set(page.tags) == set()
    assert not re.search(r"url\(\s*['\"]?(?!#)|@import", text)
    assert {name for name, _ in page.attributes} & {"src", "href"} == set()
    assert all(value.startswith("#") for name, value in page.attributes if name == "xlink:href")
    assert page.tags.count("svg") >= 4
    ids = [value for name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))


def test_hostile_samples_stay_text(out, result):
    samples = by_policy(read_samples(out / "raw" / "samples.jsonl"))
    for rows in samples.values():
        for row in rows[:3]:
            object.__setattr__(row, "completion", HOSTILE)
            object.__setattr__(row, "prompt", HOSTILE)
    text = render(result, samples)
    page = Page(text)
    assert not {"script", "img"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert HOSTILE in "".join(page.words)


def test_without_judges_comparisons_and_general_text_there_is_still_a_report(world, tmp_path):
    bare = {"gold_reward_model": None, "preference_dataset": None, "general_dataset": None, "judge": "null"}
    main(arguments(world, tmp_path, **bare))
    result = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert result["reward_model"] is None
    assert result["policies"]["ppo"]["perplexity_general"] is None
    assert "by the reward model alone" in result["verdict"]["headline"] or "SFT" in result["verdict"]["headline"]
    assert "Evaluation report" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_second_run_needs_to_be_allowed(world, out, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments(world, out))
    assert caught.value.code == 2
    assert "already holds a run" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"reward_model": "nowhere/at/all"}, "does not exist"),
        ({"policies": '{"sft": "nowhere/at/all"}'}, "does not exist"),
        ({"prompt_dataset": "nowhere.jsonl"}, "nowhere.jsonl"),
        ({"reference": "rl"}, "no policy is called 'rl'"),
    ],
)
def test_bad_input_is_an_error_of_one_screen(world, tmp_path, capsys, changed, message):
    with pytest.raises(SystemExit) as caught:
        main(arguments(world, tmp_path, **changed))
    assert caught.value.code == 2
    shown = capsys.readouterr().err
    assert message in shown
    assert "Traceback" not in shown


def test_nothing_that_is_no_number_gets_into_json():
    assert report.finite({"a": [float("nan"), 1.0], "b": (float("inf"),), "c": "x"}) == {
        "a": [None, 1.0],
        "b": [None],
        "c": "x",
    }
