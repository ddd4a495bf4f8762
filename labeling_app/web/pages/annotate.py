"""The labeling page: one decision, one key. Its layout and its events; the verbs of `labeling_app.work` do the rest.

Who acts is the session's person alone (`gr.Request.username`). The item that the browser names is looked up among this
person's own; the order of the sides never leaves the server.
"""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr

from labeling_app.errors import LabelingError, NotFound, Refused
from labeling_app.store import Database
from labeling_app.web.pages.render import text_html
from labeling_app.web.pages.view import CORRECTION, View, view_of
from labeling_app.work.claims import last_finished, next_task, renew, reopen
from labeling_app.work.consent import consent, current_guidelines
from labeling_app.work.drafts import save_draft
from labeling_app.work.labels import submit_and_next
from labeling_app.work.projects import open_projects

# elem_id, label with its key, strength as shown: negative for A.
RATINGS = (
    ("rate-a3", "much · 1", -3),
    ("rate-a2", "clearly · 2", -2),
    ("rate-a1", "a bit · 3", -1),
    ("rate-tie", "equal · 4", 0),
    ("rate-b1", "a bit · 5", 1),
    ("rate-b2", "clearly · 6", 2),
    ("rate-b3", "much · 7", 3),
)
SKIP_REASONS = (
    "the prompt is unclear",
    "I can't judge this subject",
    "the responses are the same",
    "it is not shown properly",
    "I don't want to read this",
)
MOST_RANKED = 9
RENEW_SECONDS = 60
HIDDEN = "machinery"
KEYS = (
    "**1 … 3** A is better, much to a bit · **4** equal · **5 … 7** B is better, a bit to much · **X** both bad. "
    "In a ranking **1 … 9** put the best first, **=** ties the next one with the one before, **Backspace** takes one "
    "back. **S** skip, then a reason · **U** undo · **Enter** submits where more than the choice is asked · "
    "**Esc** closes"
)

Update = dict[str, Any]
Values = list[Any]


NO_PROJECT = View(item="", notice="### No project yet\nThe lead has not begun a project. Look again later.")


@dataclass(frozen=True)
class Sent:
    """What an event of the page brings: project, item, what the script tells, and the rationale."""

    project: int
    item: str
    told: dict[str, Any]
    rationale: str


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
            self.ranking()
            self.lengths = gr.Markdown(elem_id="lengths", visible=False)
            self.bar()
        with gr.Column(elem_classes=HIDDEN):
            self.item = gr.Textbox(elem_id="item", label="item", interactive=False)
            self.facts = gr.Textbox(elem_id="facts", label="facts", value="{}")
        self.timer = gr.Timer(RENEW_SECONDS)

    def cards(self) -> None:
        with gr.Row(equal_height=True, elem_id="cards") as self.two:
            self.responses = []
            for letter in "ab":
                with gr.Column(elem_classes=["card", f"card-{letter}"], min_width=280):
                    gr.Markdown(letter.upper(), elem_classes="letter")
                    self.responses.append(gr.Markdown(elem_id=f"response-{letter}", latex_delimiters=[]))

    def ranking(self) -> None:
        """Up to nine cards, which the page's script numbers as they are put in order."""
        with gr.Row(elem_id="ranking", visible=False) as self.many:
            self.ranked, self.places = [], []
            for number in range(1, MOST_RANKED + 1):
                with gr.Column(elem_classes=["card", "place"], min_width=320, visible=False) as place:
                    gr.Button(str(number), elem_id=f"rank-{number}", elem_classes="rank", size="sm", min_width=0)
                    self.ranked.append(gr.Markdown(elem_id=f"response-{number}", latex_delimiters=[]))
                self.places.append(place)

    def bar(self) -> None:
        with gr.Column(elem_id="bar"):
            self.rationale = gr.Textbox(
                label="Why?", elem_id="rationale", lines=1, max_lines=6, max_length=20_000, visible=False
            )
            with gr.Row(elem_id="scale") as self.scale:
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
                self.submit_ranking = gr.Button(
                    "submit · Enter", elem_id="submit-ranking", size="sm", variant="primary", min_width=0, visible=False
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
        for button in (self.submit, self.submit_ranking):
            self.on(button.click, self.answer_marked)
        self.on(self.undo.click, self.take_back)
        self.on(self.agree.click, self.consent)
        self.on(self.again.click, self.serve)
        self.on(self.project.input, self.serve)
        quiet: Update = {"api_visibility": "private", "show_progress": "hidden"}
        typed = [self.item, self.rationale]
        self.rationale.input(self.keep_draft, typed, None, trigger_mode="always_last", **quiet)
        self.timer.tick(self.keep_lease, [self.item, self.facts], None, **quiet)
        _root().load(self.open, None, [self.project, *self.outputs()], **quiet)

    def on(self, event: Callable[..., Any], verb: Callable[[int, Sent], Values]) -> None:
        """Let an event of the page run a verb. What it refuses is said in words, and the page stays as it is."""

        def handle(project: int, item: str, facts: str, rationale: str, request: gr.Request) -> Values:
            try:
                return verb(person(request), Sent(project or 0, item, told(facts), rationale.strip()))
            except LabelingError as error:
                return self.not_saved(error)

        event(
            handle,
            [self.project, self.item, self.facts, self.rationale],
            self.outputs(),
            api_visibility="private",
            show_progress="hidden",
            trigger_mode="once",
        )

    def outputs(self) -> list[Any]:
        return [
            self.saved, self.item, self.notice, self.guidelines, self.agree, self.again, self.work, self.given,
            self.prompt, self.two, *self.responses, self.many, *self.places, *self.ranked, self.lengths, self.progress,
            self.rationale, self.submit, self.submit_ranking, self.scale, self.both_bad,
        ]  # fmt: skip

    def open(self, request: gr.Request) -> Values:
        """The page is loaded: the newest project, and the item that is still in this person's hands."""
        try:
            projects = open_projects(self.database, person(request))
            if not projects:
                return [gr.update(choices=[], value=None), *self.values(NO_PROJECT)]
            newest = Sent(projects[0].id, "", {}, "")
            choices = [(line.name, line.id) for line in projects]
            return [gr.update(choices=choices, value=newest.project), *self.serve(person(request), newest)]
        except LabelingError as error:
            return [gr.skip(), *self.not_saved(error)]

    def serve(self, user: int, sent: Sent) -> Values:
        """The item in this person's hands, or a new one."""
        return self.show(user, sent.project, view_of(next_task(self.database, user, sent.project)))

    def choose(self, fields: Update, user: int, sent: Sent) -> Values:
        """A choice is the whole answer, unless the project asks for more: then the page marks it, Enter sends it."""
        if sent.told.get("by_enter"):
            return [gr.skip()] * len(self.outputs())
        return self.answer(fields, user, sent)

    def answer_marked(self, user: int, sent: Sent) -> Values:
        marked = sent.told.get("selected")
        if not isinstance(marked, dict):
            raise Refused("Nothing is chosen.", remedy="choose a side first.")
        return self.answer(marked, user, sent)

    def answer(self, fields: Update, user: int, sent: Sent) -> Values:
        """Store an answer and show the next item; "saved" is said when it is committed."""
        if sent.rationale and fields.get("kind") != "skip":
            fields = fields | {"rationale": sent.rationale}
        receipt, following = submit_and_next(
            self.database,
            user,
            assignment_of(sent.item),
            fields,
            str(sent.told.get("submission", "")),
            project_id=sent.project,
            seconds=_number(sent.told.get("seconds")),
            idle_seconds=_number(sent.told.get("idle")),
        )
        return self.show(user, sent.project, view_of(following, receipt))

    def take_back(self, user: int, sent: Sent) -> Values:
        """The last answer once more; it stands until another one is given."""
        last = last_finished(self.database, user, sent.project)
        if last is None:
            raise NotFound("There is nothing to undo.", remedy="judge an item first.")
        return self.show(user, sent.project, view_of(reopen(self.database, user, last)))

    def consent(self, user: int, sent: Sent) -> Values:
        consent(self.database, user, current_guidelines(self.database, user, sent.project).id)
        return self.serve(user, sent)

    def keep_draft(self, item: str, rationale: str, request: gr.Request) -> None:
        if is_first_answer(item):
            _quietly(lambda: save_draft(self.database, person(request), assignment_of(item), {"rationale": rationale}))

    def keep_lease(self, item: str, facts: str, request: gr.Request) -> None:
        """A longer lease, while somebody is there: a tab that was left alone gives its item back."""
        if is_first_answer(item) and told(facts).get("here"):
            _quietly(lambda: renew(self.database, person(request), assignment_of(item)))

    # From verbs to components.

    def not_saved(self, error: LabelingError) -> Values:
        return [f"**Not saved.** {error.message} {error.remedy}", *[gr.skip()] * (len(self.outputs()) - 1)]

    def show(self, user: int, project: int, view: View) -> Values:
        guidelines = ""
        if view.asks_consent:
            guidelines = text_html(current_guidelines(self.database, user, project).text)
        return self.values(view, guidelines)

    def values(self, view: View, guidelines: str = "") -> Values:
        two = view.responses if not view.ranks else ()
        many = view.responses if view.ranks else ()
        return [
            view.saved,
            view.item,
            gr.update(value=view.notice, visible=bool(view.notice)),
            gr.update(value=guidelines, visible=bool(guidelines)),
            gr.update(visible=bool(guidelines)),
            gr.update(visible=bool(view.notice) and not guidelines),
            gr.update(visible=bool(view.item)),
            gr.update(value=view.given, visible=bool(view.given)),
            view.prompt,
            gr.update(visible=bool(two)),
            *_filled(two, len(self.responses)),
            gr.update(visible=bool(many)),
            *(gr.update(visible=number < len(many)) for number in range(MOST_RANKED)),
            *_filled(many, MOST_RANKED),
            gr.update(value=view.lengths, visible=bool(view.lengths)),
            view.progress,
            gr.update(value=view.rationale, visible=view.wants_rationale),
            gr.update(visible=view.submits_by_enter and not view.ranks),
            gr.update(visible=view.ranks),
            gr.update(visible=not view.ranks),
            gr.update(visible=not view.ranks),
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


def _filled(texts: tuple[str, ...], count: int) -> list[str]:
    return [*texts, *[""] * (count - len(texts))]


def assignment_of(item: str) -> int:
    """The assignment that the page shows; whose it is, is looked up."""
    digits = item.removesuffix(CORRECTION)
    if not digits.isdigit() or len(digits) > 18:
        raise NotFound("There is no such item in your hands.", remedy="load the page again.")
    return int(digits)


def is_first_answer(item: str) -> bool:
    """Whether the page shows an item that is in somebody's hands, and not an answer that is looked at again."""
    return bool(item) and not item.endswith(CORRECTION)


def told(facts: str) -> dict[str, Any]:
    """What the page's script says: times, a submission id, a marked choice. Nothing of it is believed."""
    try:
        found = json.loads(facts[:50_000] or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _quietly(verb: Callable[[], Any]) -> None:
    """A draft or a lease that can't be kept is no news: the item has been answered, or handed on."""
    with suppress(LabelingError):
        verb()
