"""The tables. What people said is an append-only log (`Label`): a correction is a new row, never a changed old one.

User ── Session, Invitation, KnownBrowser        who may come in; LoginFailure: who tried
Project ── Guideline ── Consent                  what is asked, in versions, and who agreed to which
   ├── Member                                    a person in a project: position, counts, qualification
   ├── Item ── Assignment ── Label               what is judged, who holds it until when, what they said
   │              ├── Draft
   │              └── Note                       the thread between a person and the lead about what was shown
   └── Decision                                  what a lead decided where people disagree
AuditEntry                                       what leads and administrators did
"""

import enum
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Dialect,
    Enum,
    ForeignKey,
    Index,
    Integer,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

Json = JSON().with_variant(JSONB(), "postgresql")
Id = BigInteger().with_variant(Integer(), "sqlite")  # SQLite numbers rows by itself for INTEGER only


class Moment(TypeDecorator[datetime]):
    """A moment in UTC. SQLite keeps no time zones, so none but UTC is ever stored."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Role(enum.StrEnum):
    lead = "lead"
    annotator = "annotator"


class ItemKind(enum.StrEnum):
    """work: to be judged. gold: hidden, with a known answer. qualification: asked first, with feedback."""

    work = "work"
    gold = "gold"
    qualification = "qualification"


class AssignmentStatus(enum.StrEnum):
    """open: on somebody's page. done: judged. skipped: left to others. expired: its lease ran out unanswered."""

    open = "open"
    done = "done"
    skipped = "skipped"
    expired = "expired"


class Qualification(enum.StrEnum):
    """Where a person stands in a project that has a qualification set."""

    pending = "pending"
    passed = "passed"
    failed = "failed"


def _kind_of(values: type[enum.StrEnum]) -> Enum:
    """A checked text column: readable in the file, and the same in both databases."""
    return Enum(values, native_enum=False, length=20, create_constraint=True, name=values.__name__.lower())


class Base(DeclarativeBase):
    type_annotation_map = {datetime: Moment, dict[str, Any]: Json, list[Any]: Json, list[int]: Json}


class User(Base):
    """A person. `name` is what they log in with, `pseudonym` what exports call them."""

    __tablename__ = "user_account"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(String(80), unique=True)
    pseudonym: Mapped[str] = mapped_column(String(40), unique=True)
    role: Mapped[Role] = mapped_column(_kind_of(Role))
    password_hash: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime]
    paused_at: Mapped[datetime | None]
    paused_reason: Mapped[str | None] = mapped_column(Text)
    withheld: Mapped[bool] = mapped_column(default=False)  # their labels are left out of exports
    forgotten_at: Mapped[datetime | None]


class Invitation(Base):
    """A one-time link by which a person sets a password: to come in first, or after having lost it."""

    __tablename__ = "invitation"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    created_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class Session(Base):
    """A login. Only the token's hash is kept: who reads the database can't come in with it."""

    __tablename__ = "session"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"), index=True)
    created_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    expires_at: Mapped[datetime]


class LoginFailure(Base):
    """A wrong password, kept for as long as it throttles; `key` is a name, an address, or a person in a browser."""

    __tablename__ = "login_failure"
    __table_args__ = (Index("login_failure_by_key", "key", "at"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    key: Mapped[str] = mapped_column(String(120))
    at: Mapped[datetime]


class KnownBrowser(Base):
    """A browser in which a person has logged in. Only its token's hash is kept."""

    __tablename__ = "known_browser"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"), primary_key=True)
    seen_at: Mapped[datetime]  # of the last login


class Project(Base):
    __tablename__ = "project"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(String(80), unique=True)
    mode: Mapped[str] = mapped_column(String(20))
    settings: Mapped[dict[str, Any]]
    slots_total: Mapped[int] = mapped_column(default=0)  # judgements that are wanted: items times overlap
    created_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]


class Guideline(Base):
    """One version of a project's guidelines, in Markdown."""

    __tablename__ = "guideline"
    __table_args__ = (UniqueConstraint("project_id", "version"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    version: Mapped[int]
    text: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]
    created_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))


class Consent(Base):
    __tablename__ = "consent"

    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"), primary_key=True)
    guideline_id: Mapped[int] = mapped_column(ForeignKey("guideline.id"), primary_key=True)
    at: Mapped[datetime]


class Member(Base):
    """A person in a project. The counts spare each page a walk over the log.

    `cursor` is the position of the last item that was handed out to them, `served` how many assignments they got, from
    which the draws of gold items and repeats follow. `done` counts their judgements that fill a slot, `answered` all of
    them but skips and the qualification.
    """

    __tablename__ = "member"

    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"), primary_key=True)
    joined_at: Mapped[datetime]
    cursor: Mapped[int] = mapped_column(BigInteger, default=0)
    served: Mapped[int] = mapped_column(default=0)
    done: Mapped[int] = mapped_column(default=0)
    answered: Mapped[int] = mapped_column(default=0)
    qualification: Mapped[Qualification] = mapped_column(_kind_of(Qualification), default=Qualification.pending)


class Item(Base):
    """A prompt with its candidate responses, in stored order.

    `prompt` is a text or messages, `responses` a list of texts or message lists, `origins` what made each (a model's
    name, never shown to an annotator), `expected` a gold or qualification item's `{"answer", "explanation"}`.
    """

    __tablename__ = "item"
    __table_args__ = (
        UniqueConstraint("project_id", "content_hash"),
        Index(
            "item_to_hand_out",
            "project_id",
            "position",
            sqlite_where=text("open_slots > 0 AND kind = 'work'"),
            postgresql_where=text("open_slots > 0 AND kind = 'work'"),
        ),
        # Checks only: over work too, SQLite would prefer it to the index above, and walk past all items that are done.
        Index(
            "item_to_check",
            "project_id",
            "kind",
            "position",
            sqlite_where=text("kind <> 'work'"),
            postgresql_where=text("kind <> 'work'"),
        ),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    uid: Mapped[str] = mapped_column(String(36), unique=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    kind: Mapped[ItemKind] = mapped_column(_kind_of(ItemKind))
    position: Mapped[int] = mapped_column(BigInteger)
    prompt: Mapped[Any] = mapped_column(Json)
    responses: Mapped[list[Any]]
    origins: Mapped[list[Any] | None]
    further: Mapped[dict[str, Any]]  # columns that came with it: group, source and others
    content_hash: Mapped[str] = mapped_column(String(64))
    overlap: Mapped[int]
    open_slots: Mapped[int]
    expected: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime]


class Assignment(Base):
    """An item in somebody's hands. `order[position]` is the stored candidate shown there.

    A hidden repeat is an assignment of its own that points at the first. `holds_slot` says whether it counts towards
    the item's overlap: not where it is a gold or qualification item or a repeat, was skipped or expired.
    """

    __tablename__ = "assignment"
    __table_args__ = (
        Index(
            "assignment_once",
            "item_id",
            "user_id",
            unique=True,
            sqlite_where=text("repeat_of IS NULL"),
            postgresql_where=text("repeat_of IS NULL"),
        ),
        Index(
            "assignment_open",
            "project_id",
            "lease_until",
            sqlite_where=text("status = 'open'"),
            postgresql_where=text("status = 'open'"),
        ),
        Index("assignment_of_user", "user_id", "project_id", "finished_at"),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    item_id: Mapped[int] = mapped_column(ForeignKey("item.id"))
    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    repeat_of: Mapped[int | None] = mapped_column(ForeignKey("assignment.id"), unique=True)
    order: Mapped[list[int]] = mapped_column("shown_order")
    status: Mapped[AssignmentStatus] = mapped_column(_kind_of(AssignmentStatus), default=AssignmentStatus.open)
    holds_slot: Mapped[bool]
    claimed_at: Mapped[datetime]
    lease_until: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    label_id: Mapped[int | None] = mapped_column(Id)  # the newest of its labels


class Label(Base):
    """What a person said, in stored order (`labeling_app.answers`). Never changed; the newest revision counts.

    `seconds` is the time on the page without the time in which nobody did anything there, `idle_seconds`. `late` says
    that the lease had ended, so that the judgement stands outside the overlap.
    """

    __tablename__ = "label"
    __table_args__ = (
        UniqueConstraint("user_id", "submission_id"),
        UniqueConstraint("assignment_id", "revision"),
        Index("label_by_project", "project_id", "id"),
        Index("label_by_item", "item_id"),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    uid: Mapped[str] = mapped_column(String(36), unique=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    item_id: Mapped[int] = mapped_column(ForeignKey("item.id"))
    assignment_id: Mapped[int] = mapped_column(ForeignKey("assignment.id"))
    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    submission_id: Mapped[str] = mapped_column(String(64))
    revision: Mapped[int]
    answer: Mapped[dict[str, Any]]
    guideline_id: Mapped[int | None] = mapped_column(ForeignKey("guideline.id"))
    seconds: Mapped[float]
    idle_seconds: Mapped[float]
    late: Mapped[bool]
    created_at: Mapped[datetime]


class Draft(Base):
    """What somebody has typed or chosen and not yet submitted, as the page sent it."""

    __tablename__ = "draft"

    assignment_id: Mapped[int] = mapped_column(ForeignKey("assignment.id"), primary_key=True)
    content: Mapped[dict[str, Any]]
    saved_at: Mapped[datetime]


class Decision(Base):
    """What a lead decided about an item; the newest one takes precedence over all labels of the item."""

    __tablename__ = "decision"
    __table_args__ = (Index("decision_by_item", "item_id", "id"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    uid: Mapped[str] = mapped_column(String(36), unique=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    item_id: Mapped[int] = mapped_column(ForeignKey("item.id"))
    decided_by: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    answer: Mapped[dict[str, Any]]
    note: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime]


class Note(Base):
    """A message in the thread of one annotator with the lead about one showing of an item."""

    __tablename__ = "note"
    __table_args__ = (
        Index("note_by_thread", "assignment_id", "id"),
        Index("note_by_annotator", "project_id", "annotator_id"),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    assignment_id: Mapped[int] = mapped_column(ForeignKey("assignment.id", name="note_of_assignment"))
    annotator_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    author_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    text: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]
    read_at: Mapped[datetime | None]


class ThreadClosing(Base):
    """A lead has closed the thread of an assignment, up to a message; what is written after that opens it again."""

    __tablename__ = "thread_closing"

    assignment_id: Mapped[int] = mapped_column(ForeignKey("assignment.id"), primary_key=True, autoincrement=False)
    note_id: Mapped[int] = mapped_column(ForeignKey("note.id"))
    closed_by: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    closed_at: Mapped[datetime]


class AuditEntry(Base):
    """What a lead or the command line did to people and projects."""

    __tablename__ = "audit_entry"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    at: Mapped[datetime]
    actor_id: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))  # None: the command line
    action: Mapped[str] = mapped_column(String(60))
    detail: Mapped[dict[str, Any]]
