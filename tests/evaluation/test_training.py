"""What is read of the runs behind a report."""

import json

import pytest

from rlhf.errors import DataError
from rlhf.evaluation import training


def test_stage_seconds_in_both_forms(tmp_path):
    file = tmp_path / "stages.json"
    file.write_text(json.dumps({"sft": 12, "ppo": {"wall_seconds": 34.5, "peak_memory_bytes": 1}}))
    assert training.read_stage_seconds(str(file)) == {"sft": 12.0, "ppo": 34.5}
    assert training.read_stage_seconds(str(tmp_path / "none.json")) == {}
    assert training.read_stage_seconds(None) == {}


@pytest.mark.parametrize("content", ["[1]", '{"sft": "long"}', '{"sft": {}}', "{"])
def test_a_broken_record_of_stages_is_an_error(tmp_path, content):
    file = tmp_path / "stages.json"
    file.write_text(content)
    with pytest.raises(DataError, match="no record of stages"):
        training.read_stage_seconds(str(file))


def test_curves_of_a_run_and_none_of_a_folder_without_metrics(tmp_path):
    run = tmp_path / "ppo"
    run.mkdir()
    (run / "manifest.json").write_text(json.dumps({"run_id": "1", "recipe": "ppo", "seed": 3, "label_ids": ["a"]}))
    rows = [{"step": step, "objective/kl": 0.1 * step, "objective/scores": float("nan")} for step in range(4)]
    (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = training.curves({"ppo": str(run), "other": str(tmp_path)})
    assert [row["name"] for row in found] == ["ppo"]
    assert "KL to the reference" in found[0]["svg"]
    assert "score" not in found[0]["svg"]
    assert training.summarize_run(str(run)) == {
        "path": str(run),
        "run_id": "1",
        "recipe": "ppo",
        "seed": 3,
        "labels_used": 1,
    }
    assert training.summarize_run(str(tmp_path)) == {"path": str(tmp_path)}


@pytest.mark.parametrize("recipe", ["grpo", "rloo"])
def test_curves_of_the_other_online_recipes(tmp_path, recipe):
    (tmp_path / "manifest.json").write_text(json.dumps({"run_id": "1", "recipe": recipe}))
    figures = ("objective/scores_before_penalty", "reward", "objective/kl", "entropy", "completions/mean_length")
    rows = [{"step": step, "loss": 0.0} | dict.fromkeys(figures, 0.5 * step) for step in range(3)]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (drawn,) = training.curves({recipe: str(tmp_path)})
    assert f"Training curves of {recipe}: score, KL to the reference, entropy, response length" in drawn["svg"]
