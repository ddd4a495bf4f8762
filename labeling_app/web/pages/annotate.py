"""The labeling page: one decision, one key. Its layout and its events; the verbs of `labeling_app.work` do the rest.

Who acts is the session's person alone (`gr.Request.username`). The item that the browser names is looked up among this
person's own; the order of the sides never leaves the server.
"""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import gradio as gr

from labeling_app.errors import LabelingError, NotFound
from labeling_app.store import Database
from labeling_app.web.pages.view import View, view_of
from labeling_app.work.claims import last_finished, next_task, renew, reopen
from labeling_app.work.consent import consent, current_guidelines
from labeling_app.work.drafts import save_draft
from labeling_app.work.labels import submit_and_next
from labeling_app.work.projects import open_projects

# elem_id, label with its key, strength as shown: negative for A.
RATINGS = (
    ("rate-a3", "A much better · 1", -3),
    ("rate-a2", "A better · 2", -2),
    ("rate-a1", "A a bit · 3", -1),
    ("rate-tie", "equal · 4", 0),
    ("rate-b1", "B a bit · 5", 1),
    ("rate-b2", "B better · 6", 2),
    ("rate-b3", "B much better · 7", 3),
)
SKIP_REASONS = (
    "the prompt is unclear",
    "I can't judge this subject",
    "the responses are the same",
    "it is not shown properly",
    "I don't want to read this",
)
RENEW_SECONDS = 60
HIDDEN = "machinery"
KEYS = (
    "**1 … 3** A is better, much to a bit · **4** equal · **5 … 7** B is better, a bit to much · **X** both bad · **S** skip, "
    "then a reason · **U** undo · **Enter** submits where more than the choice is asked · **Esc** closes"
)

Update = dict[str, Any]
Values = list[Any]


class AnnotationPage:
    """The components of the page, and what its events do."""

    def __init__(self, database: Database):
        self.database = database
        self.layout()
        self.events()

    # What is there.

    def layout(self) -> None:
        with gr.Row(elem_id="top"):
            self.project = gr.Dropdown(label="Project", show_label=False, container=False, elem_id="project", scale=2)
            self.progress = gr.Markdown(elem_id="progress", container=False)
            gr.Button("Log out", elem_id="log-out", size="sm", variant="secondary", scale=0)
        self.notice = gr.Markdown(elem_id="notice", visible=False)
        self.guidelines = gr.Markdown(elem_id="guidelines", visible=False, latex_delimiters=[])
        self.agree = gr.Button("I have read them, and agree", elem_id="agree", variant="primary", visible=False)
        self.again = gr.Button("Look again", elem_id="again", visible=False)
        with gr.Column(elem_id="work", visible=False) as self.work:
            self.given = gr.Markdown(elem_id="given", visible=False)
            self.prompt = gr.Markdown(elem_id="prompt", latex_delimiters=[])
            self.cards()
            self.lengths = gr.Markdown(elem_id="lengths", visible=False)
            self.bar()
        with gr.Column(elem_classes=HIDDEN):
            self.item = gr.Textbox(elem_id="item", label="item", interactive=False)
            self.facts = gr.Textbox(elem_id="facts", label="facts", value="{}")
        self.timer = gr.Timer(RENEW_SECONDS)

    def cards(self) -> None:
        with gr.Row(equal_height=True, elem_id="cards"):
            self.responses = []
            for letter in "ab":
                with gr.Column(elem_classes=["card", f"card-{letter}"], min_width=280):
                    gr.Markdown(letter.upper(), elem_classes="letter")
                    self.responses.append(gr.Markdown(elem_id=f"response-{letter}", latex_delimiters=[]))

    def bar(self) -> None:
        with gr.Column(elem_id="bar"):
            self.rationale = gr.Textbox(
                label="Why?", elem_id="rationale", lines=1, max_lines=6, max_length=20_000, visible=False
            )
            with gr.Row(elem_id="scale"):
                self.ratings = [
                    (gr.Button(label, elem_id=name, elem_classes=["rate", name[:6]], min_width=0), strength)
                    for name, label, strength in RATINGS
                ]
            with gr.Row(elem_id="others"):
                self.both_bad = gr.Button("both bad · X", elem_id="both-bad", size="sm", min_width=0)
                gr.Button("skip · S", elem_id="skip", size="sm", min_width=0)
                self.undo = gr.Button("undo · U", elem_id="undo", size="sm", min_width=0)
                gr.Button("keys · ?", elem_id="keys", size="sm", min_width=0)
                self.submit = gr.Button(
                    "submit · Enter", elem_id="submit", size="sm", variant="primary", min_width=0, visible=False
                )
            with gr.Row(elem_id="reasons"):
                self.reasons = [
                    (gr.Button(f"{reason} · {number}", elem_id=f"skip-{number}", size="sm", min_width=0), reason)
                    for number, reason in enumerate(SKIP_REASONS, start=1)
                ]
            gr.Markdown(KEYS, elem_id="keys-help")
            self.saved = gr.Markdown(elem_id="saved")

    # What happens.

    def events(self) -> None:
        for button, strength in self.ratings:
            self.on(button.click, partial(self.choose, {"kind": "choice", "strength": strength}))
        self.on(self.both_bad.click, partial(self.choose, {"kind": "both_bad"}))
        for button, reason in self.reasons:
            self.on(button.click, partial(self.answer, {"kind": "skip", "reason": reason}))
        self.on(self.submit.click, partial(self.answer, None))
        self.on(self.undo.click, self.take_back)
        self.on(self.agree.click, self.consent)
        for event in (self.again.click, self.project.input):
            self.on(event, self.serve)
        self.rationale.input(
            self.keep_draft, [self.item, self.rationale], None, api_visibility="private", show_progress="hidden",
            trigger_mode="always_last",
        )  # fmt: skip
        self.timer.tick(self.keep_lease, [self.item], None, api_visibility="private", show_progress="hidden")
        gr.on(
            [_root().load],
            self.open,
            None,
            [self.project, *self.outputs()],
            api_visibility="private",
            show_progress="hidden",
        )

    def on(self, event: Callable[..., Any], handler: Callable[..., Any]) -> None:
        event(
            handler,
            [self.project, self.item, self.facts, self.rationale],
            self.outputs(),
            api_visibility="private",
            show_progress="hidden",
            trigger_mode="once",
        )

    def outputs(self) -> list[Any]:
        return [
            self.item, self.notice, self.guidelines, self.agree, self.again, self.work, self.given, self.prompt,
            *self.responses, self.lengths, self.progress, self.saved, self.rationale, self.submit,
        ]  # fmt: skip

    def open(self, request: gr.Request) -> Values:
        """The page is loaded: the newest project, and the item that is still in this person's hands."""
        projects = open_projects(self.database, person(request))
        choices = [(line.name, line.id) for line in projects]
        if not projects:
            view = View(item="", notice="### No project yet\nThe lead has not begun a project. Look again later.")
            return [gr.update(choices=[], value=None), *self.values(view)]
        return [gr.update(choices=choices, value=projects[0].id), *self.serve(projects[0].id, "", "", "", request)]

    def serve(self, project: int | None, item: str, facts: str, rationale: str, request: gr.Request) -> Values:
        """The item in this person's hands, or a new one."""
        return self.guarded(
            lambda user: self.show(user, project, view_of(next_task(self.database, user, project or 0))), request
        )

    def choose(
        self, fields: Update, project: int, item: str, facts: str, rationale: str, request: gr.Request
    ) -> Values:
        """A choice: it is the whole answer, unless the project asks for more; then it is only marked."""
        told = _told(facts)
        if told.get("by_enter"):
            return [gr.skip()] * len(self.outputs())  # the page has marked it; Enter sends it
        return self.answer(fields, project, item, facts, rationale, request)

    def answer(
        self, fields: Update | None, project: int, item: str, facts: str, rationale: str, request: gr.Request
    ) -> Values:
        """Store an answer and show the next item; "saved" is said when it is committed."""
        told = _told(facts)
        fields = dict(fields if fields is not None else told.get("selected") or {})
        if rationale.strip() and fields.get("kind") != "skip":
            fields["rationale"] = rationale.strip()

        def store(user: int) -> Values:
            receipt, following = submit_and_next(
                self.database,
                user,
                _assignment(item),
                fields,
                str(told.get("submission", "")),
                project_id=project,
                seconds=_number(told.get("seconds")),
                idle_seconds=_number(told.get("idle")),
            )
            return self.show(user, project, view_of(following, receipt))

        return self.guarded(store, request)

    def take_back(self, project: int, item: str, facts: str, rationale: str, request: gr.Request) -> Values:
        """The last answer once more; it stands until another one is given."""

        def again(user: int) -> Values:
            last = last_finished(self.database, user, project)
            if last is None:
                raise NotFound("There is nothing to undo.", remedy="judge an item first.")
            return self.show(user, project, view_of(reopen(self.database, user, last)))

        return self.guarded(again, request)

    def consent(self, project: int, item: str, facts: str, rationale: str, request: gr.Request) -> Values:
        def agree(user: int) -> Values:
            consent(self.database, user, current_guidelines(self.database, user, project).id)
            return self.show(user, project, view_of(next_task(self.database, user, project)))

        return self.guarded(agree, request)

    def keep_draft(self, item: str, rationale: str, request: gr.Request) -> None:
        if item and not item.endswith("c"):
            _quietly(lambda: save_draft(self.database, person(request), _assignment(item), {"rationale": rationale}))

    def keep_lease(self, item: str, request: gr.Request) -> None:
        if item and not item.endswith("c"):
            _quietly(lambda: renew(self.database, person(request), _assignment(item)))

    # From verbs to components.

    def guarded(self, verb: Callable[[int], Values], request: gr.Request) -> Values:
        """Run a verb. What it refuses is said in words, and the page stays as it is."""
        try:
            return verb(person(request))
        except LabelingError as error:
            values: Values = [gr.skip()] * len(self.outputs())
            values[self.outputs().index(self.saved)] = f"**Not saved.** {error.message} {error.remedy}"
            return values

    def show(self, user: int, project: int | None, view: View) -> Values:
        guidelines = ""
        if view.notice and "agree to them" in view.notice and project:
            found = current_guidelines(self.database, user, project)
            from labeling_app.web.pages.render import text_html

            guidelines = text_html(found.text)
        return self.values(view, guidelines)

    def values(self, view: View, guidelines: str = "") -> Values:
        responses = [view.responses[number] if number < len(view.responses) else "" for number in range(2)]
        return [
            view.item,
            gr.update(value=view.notice, visible=bool(view.notice)),
            gr.update(value=guidelines, visible=bool(guidelines)),
            gr.update(visible=bool(guidelines)),
            gr.update(visible=bool(view.notice) and not guidelines),
            gr.update(visible=bool(view.item)),
            gr.update(value=view.given, visible=bool(view.given)),
            view.prompt,
            *responses,
            gr.update(value=view.lengths, visible=bool(view.lengths)),
            view.progress,
            view.saved,
            gr.update(value=view.rationale, visible=view.wants_rationale),
            gr.update(visible=view.submits_by_enter),
        ]


def annotation_page(database: Database) -> AnnotationPage:
    """Put the page into the Blocks that are open."""
    return AnnotationPage(database)


def person(request: gr.Request) -> int:
    """The id of the session's person, as the server's `auth_dependency` gave it."""
    return int(request.username or 0)


def _root() -> Any:
    blocks = gr.context.Context.root_block
    if blocks is None:
        raise RuntimeError("the page is made outside of gr.Blocks")
    return blocks


def _assignment(item: str) -> int:
    """The assignment that the page shows; whose it is, is looked up."""
    digits = item.removesuffix("c")
    if not digits.isdigit() or len(digits) > 18:
        raise NotFound("There is no such item in your hands.", remedy="load the page again.")
    return int(digits)


def _told(facts: str) -> dict[str, Any]:
    """What the page's script says of itself: times, a submission id, a marked choice. Nothing of it is believed."""
    try:
        found = json.loads(facts[:50_000] or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _quietly(verb: Callable[[], Any]) -> None:
    """A draft or a lease that can't be kept is no news: the item has been answered, or handed on."""
    try:
        verb()
    except LabelingError:
        pass
