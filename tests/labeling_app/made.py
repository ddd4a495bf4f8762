"""People, projects and items for tests, put straight into the tables: what is tested is not what prepares the test."""

import uuid
from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, select, update

from labeling_app.settings import Mode, ProjectSettings
from labeling_app.store import Database
from labeling_app.store.tables import Consent, Guideline, Item, ItemKind, Project, Role, User


def people(database: Database, n: int, role: Role = Role.annotator) -> list[int]:
    """The ids of `n` new people, who have no password."""
    with database.write() as session:
        known = session.scalar(select(func.count()).select_from(User)) or 0
        made = [
            User(
                name=f"{role.value}-{number}",
                pseudonym=f"person-{number}",
                role=role,
                password_hash=None,
                created_at=database.now(),
            )
            for number in range(known + 1, known + n + 1)
        ]
        session.add_all(made)
        session.flush()
        return [user.id for user in made]


def a_lead(database: Database) -> int:
    """The id of a new lead."""
    return people(database, 1, Role.lead)[0]


def a_project(
    database: Database,
    *,
    mode: Mode = "comparison",
    items: int | Sequence[dict[str, Any]] = 0,
    guidelines: str | None = None,
    **settings: Any,
) -> int:
    """The id of a new open project.

    Args:
        items: so many items to judge, or these.
        guidelines: the text of their first version, to which nobody has agreed yet; without it nobody is asked to.
        settings: fields of `ProjectSettings`.
    """
    with database.write() as session:
        project = Project(
            name=f"project {uuid.uuid4().hex[:8]}",
            mode=mode,
            settings=ProjectSettings(**settings).model_dump(mode="json"),
            slots_total=0,
            created_at=database.now(),
            closed_at=None,
        )
        session.add(project)
        session.flush()
        project_id = project.id
        if guidelines is not None:
            session.add(
                Guideline(project_id=project_id, version=1, text=guidelines, created_at=database.now(), created_by=None)
            )
    default = some_items(items, 2 if mode == "comparison" else 3) if isinstance(items, int) else items
    add_items(database, project_id, default)
    return project_id


def some_items(n: int, responses: int = 2, start: int = 0) -> list[dict[str, Any]]:
    """`n` items that all differ: `{"prompt", "responses"}`."""
    return [
        {"prompt": f"prompt {number}", "responses": [f"response {number}.{letter}" for letter in range(responses)]}
        for number in range(start, start + n)
    ]


def add_items(
    database: Database, project_id: int, contents: Sequence[dict[str, Any]], kind: ItemKind = ItemKind.work
) -> list[int]:
    """The ids of new items of a project, in order; `contents` as of `some_items`, with `expected` for checks."""
    with database.write() as session:
        project = session.get_one(Project, project_id)
        overlap = ProjectSettings.model_validate(project.settings).overlap if kind is ItemKind.work else 0
        last = session.scalar(select(func.max(Item.position)).where(Item.project_id == project_id)) or 0
        made = [
            Item(
                uid=str(uuid.uuid4()),
                project_id=project_id,
                kind=kind,
                position=last + number,
                prompt=content["prompt"],
                responses=content["responses"],
                origins=content.get("origins"),
                further=content.get("further", {}),
                content_hash=uuid.uuid4().hex,
                overlap=overlap,
                open_slots=overlap,
                expected=content.get("expected"),
                created_at=database.now(),
            )
            for number, content in enumerate(contents, start=1)
        ]
        session.add_all(made)
        session.execute(
            update(Project)
            .where(Project.id == project_id)
            .values(slots_total=Project.slots_total + overlap * len(made))
        )
        session.flush()
        return [item.id for item in made]


def checks(
    database: Database,
    project_id: int,
    answers: Sequence[dict[str, Any]],
    kind: ItemKind,
    *,
    explanation: str | None = "as the guidelines say",
) -> list[int]:
    """The ids of new gold or qualification items, one for each expected answer (in stored order)."""
    contents = [
        {
            "prompt": f"{kind.value} prompt {number}",
            "responses": [f"{kind.value} {number}.{letter}" for letter in range(len(answer.get("ranks", "ab")))],
            "expected": {"answer": answer, "explanation": explanation},
        }
        for number, answer in enumerate(answers)
    ]
    return add_items(database, project_id, contents, kind)


def publish(database: Database, project_id: int, text: str) -> int:
    """The id of a further version of the guidelines."""
    with database.write() as session:
        newest = session.scalar(select(func.max(Guideline.version)).where(Guideline.project_id == project_id)) or 0
        guideline = Guideline(
            project_id=project_id, version=newest + 1, text=text, created_at=database.now(), created_by=None
        )
        session.add(guideline)
        session.flush()
        return guideline.id


def agree(database: Database, project_id: int, users: Sequence[int]) -> None:
    """These people agree to the newest guidelines."""
    with database.write() as session:
        newest = session.scalar(
            select(Guideline.id).where(Guideline.project_id == project_id).order_by(Guideline.version.desc()).limit(1)
        )
        if newest is not None:
            session.add_all(Consent(user_id=user, guideline_id=newest, at=database.now()) for user in users)
