"""From what people choose on the page, in the order shown to each, to what an export says."""

import json
from pathlib import Path

from labeling_app.export import export_labels
from labeling_app.lead.figures import dashboard
from labeling_app.lead.imports import import_items
from labeling_app.lead.projects import create_project
from labeling_app.settings import ProjectSettings
from labeling_app.store import Database
from labeling_app.work.claims import next_task
from labeling_app.work.consent import consent, current_guidelines
from labeling_app.work.labels import submit
from labeling_app.work.tasks import Task
from tests.labeling_app.made import a_lead, people


def test_the_better_one_is_chosen_wherever_it_was_shown(database: Database, tmp_path: Path) -> None:
    lead, users = a_lead(database), people(database, 2)
    project = create_project(database, lead, "films", "comparison", ProjectSettings(overlap=2), "Prefer praise.")
    rows = [{"prompt": f"p{n}", "responses": [f"dull {n}", f"great {n}"]} for n in range(12)]
    import_items(database, lead, project, rows)
    shown_left = 0
    for user in users:
        consent(database, user, current_guidelines(database, user, project).id)
        while isinstance(task := next_task(database, user, project), Task):
            left = task.responses[0].startswith("great")
            shown_left += left
            fields = {"kind": "choice", "strength": -2 if left else 2}
            submit(database, user, task.assignment_id, fields, f"{task.assignment_id}", seconds=9)
    assert 0 < shown_left < 24
    report = export_labels(database, lead, project, tmp_path / "out")
    lines = (tmp_path / "out" / "preferences.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["chosen"] for line in lines] == [f"great {n}" for n in range(12)]
    assert {(json.loads(line)["strength"], json.loads(line)["agreement"]) for line in lines} == {(2.0, 1.0)}
    assert report.manifest["guidelines"][0]["labels"] == 24
    found = dashboard(database, lead, project)
    assert (found.items_done, found.labels, found.coefficients.raw.value) == (12, 24, 1.0)
    assert sum((one.left.value or 0) * one.left.of for one in found.people) == shown_left
    assert [one.longer.value for one in found.people] == [1.0, 1.0]
