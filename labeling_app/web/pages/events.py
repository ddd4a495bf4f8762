"""What happens on the labeling page: each event runs a verb of `labeling_app.work` and shows what it returns.

An answer and the next item are one event, which touches nothing but what changes: two responses, or those of a ranking.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import gradio as gr

from labeling_app.access import leads
from labeling_app.errors import LabelingError, NotFound, Unavailable
from labeling_app.store import Database
from labeling_app.web.pages import beside
from labeling_app.web.pages.layout import Page
from labeling_app.web.pages.sent import Sent, sent
from labeling_app.web.pages.view import View, feedback_state, in_json, no_project, view_of
from labeling_app.work.claims import last_finished, next_task, renew, reopen
from labeling_app.work.consent import consent
from labeling_app.work.drafts import save_draft
from labeling_app.work.labels import submit_and_next
from labeling_app.work.notes import unread_replies
from labeling_app.work.projects import open_projects

Values = list[Any]
# Values come as they are, and `sent` looks at them: Gradio would ask whether the project is one that it has offered to
# this page, and knows of none after a restart.
QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden", "preprocess": False}


class Events:
    """The events of a page that is laid out."""

    def __init__(self, database: Database, page: Page):
        self.database = database
        self.page = page
        tell, cards = page.machinery, page.cards
        around = [tell.state, page.bar.saved, page.top.progress, cards.prompt]
        self.two = [*around, *cards.two]
        self.many = [*around, *cards.many]
        self.whole = [*around, *cards.two, *cards.many]

    def connect(self) -> None:
        """Let the page's components and its script run their verbs."""
        page, verbs = self.page, self.page.machinery.verbs
        self.on(verbs["send"].click, self.answer, self.two)
        self.on(verbs["send-ranking"].click, self.answer, self.many)
        self.on(page.top.project.input, self.serve, self.whole)
        self.on(page.again.click, self.serve, self.whole)
        self.on(page.panels.agree.click, self.consent, self.whole)
        self.on(page.bar.undo.click, self.take_back, self.whole)
        self.on(verbs["reopen"].click, self.reopen, self.whole)
        self.beside(verbs["read-history"].click, beside.history)
        self.beside(verbs["read-thread"].click, beside.thread)
        self.beside(verbs["write"].click, beside.write)
        inputs = [page.top.project, page.machinery.facts]
        verbs["read-guidelines"].click(
            self.guidelines, inputs, [page.machinery.panel, page.panels.guidelines], trigger_mode="once", **QUIET
        )
        verbs["draft"].click(self.keep_draft, inputs, None, trigger_mode="always_last", **QUIET)
        verbs["stay"].click(self.stay, inputs, page.machinery.news, trigger_mode="once", **QUIET)
        _root().load(self.open, inputs, [page.top.project, page.machinery.news, *self.whole], **QUIET)

    def on(self, event: Callable[..., Any], verb: Callable[[Sent], View | str], outputs: Sequence[Any]) -> None:
        """Let an event run a verb that shows an item. What it refuses is said in words, and the page stays as it is."""

        def handle(project: int, facts: str, request: gr.Request) -> Values:
            told = sent(project, facts, request)
            try:
                return self.shown(verb(told), outputs, told.user)
            except LabelingError as error:
                return _refused(error, told, outputs)

        event(
            handle,
            [self.page.top.project, self.page.machinery.facts],
            list(outputs),
            trigger_mode="once",
            postprocess=False,  # texts, which need nothing more: it would take a thread for each
            **QUIET,
        )

    def beside(self, event: Callable[..., Any], verb: Callable[[Database, Sent], dict[str, Any]]) -> None:
        """Let an event fill what opens beside the work."""

        def handle(project: int, facts: str, request: gr.Request) -> str:
            try:
                return in_json(verb(self.database, sent(project, facts, request)))
            except LabelingError as error:
                return in_json({"refused": in_words(error)})

        inputs = [self.page.top.project, self.page.machinery.facts]
        event(handle, inputs, self.page.machinery.panel, trigger_mode="once", **QUIET)

    # Verbs that show an item.

    def open(self, project: int, facts: str, request: gr.Request) -> Values:
        """The page is loaded: the project of the item that is still in this person's hands, or the newest one."""
        told = sent(project, facts, request)
        try:
            projects = open_projects(self.database, told.user)
            news: dict[str, Any] = {"leads": leads(self.database, told.user)}
            if not projects:
                return [
                    gr.update(choices=[], value=None),
                    in_json(news),
                    *self.shown(no_project(), self.whole, told.user),
                ]
            chosen = next((line for line in projects if line.held), projects[0]).id
            choices = [(line.name, line.id) for line in projects]
            news["unread"] = unread_replies(self.database, told.user, chosen)
            shown = self.shown(self.serve(Sent(told.user, chosen, {})), self.whole, told.user)
            return [gr.update(choices=choices, value=chosen), in_json(news), *shown]
        except LabelingError as error:
            return [gr.skip(), gr.skip(), *_refused(error, told, self.whole)]

    def serve(self, told: Sent) -> View:
        """The item in this person's hands, or a new one."""
        return view_of(next_task(self.database, told.user, told.project))

    def answer(self, told: Sent) -> View | str:
        """Store an answer and show the next item; the page learns of it when it is committed."""
        submission = told.text("submission")
        receipt, following = submit_and_next(
            self.database,
            told.user,
            told.assignment,
            told.table("answer"),
            submission,
            project_id=told.project,
            seconds=told.number("seconds"),
            idle_seconds=told.number("idle"),
        )
        if receipt.feedback is not None:
            return feedback_state(receipt, submission)
        return view_of(following, receipt, submission)

    def take_back(self, told: Sent) -> View:
        """The last answer once more; it stands until another one is given."""
        last = last_finished(self.database, told.user, told.project)
        if last is None:
            raise NotFound("There is nothing to undo.", remedy="judge an item first.")
        return view_of(reopen(self.database, told.user, last))

    def reopen(self, told: Sent) -> View:
        """An own answer, chosen from the history."""
        return view_of(reopen(self.database, told.user, told.assignment))

    def consent(self, told: Sent) -> View:
        """Agree to the version that the page shows; a newer one has to be read first."""
        consent(self.database, told.user, int(told.number("guideline")))
        return self.serve(told)

    # Others.

    def guidelines(self, project: int, facts: str, request: gr.Request) -> Values:
        """The guidelines, with what is new in them for this person."""
        try:
            panel, html = beside.guidelines(self.database, sent(project, facts, request))
        except LabelingError as error:
            return [in_json({"refused": in_words(error)}), gr.skip()]
        return [in_json(panel), html]

    def keep_draft(self, project: int, facts: str, request: gr.Request) -> None:
        """A draft that can't be kept is no news: the item has been answered, or handed on."""
        told = sent(project, facts, request)
        if told.is_first_answer:
            with suppress(LabelingError):
                save_draft(self.database, told.user, told.assignment, told.table("draft"))

    def stay(self, project: int, facts: str, request: gr.Request) -> str:
        """Somebody is there, says their page: a longer lease, and what is new."""
        told = sent(project, facts, request)
        with suppress(LabelingError):
            if told.is_first_answer:
                renew(self.database, told.user, told.assignment)
        try:
            return in_json({"unread": unread_replies(self.database, told.user, told.project)})
        except LabelingError:
            return in_json({})

    def shown(self, view: View | str, outputs: Sequence[Any], person: int) -> Values:
        """What goes to the outputs; where there is no item, those of an item stay as they are."""
        if isinstance(view, str):
            return [view, *[gr.skip()] * (len(outputs) - 1)]
        values: dict[Any, Any] = {
            self.page.machinery.state: view.told(person),
            self.page.bar.saved: view.saved,
            self.page.top.progress: view.progress,
        }
        if view.item:
            values[self.page.cards.prompt] = view.prompt
            cards = self.page.cards.many if view.ranks else self.page.cards.two
            # Those that a ranking doesn't use are emptied: nothing of an earlier item lies hidden on the page.
            values |= dict(zip(cards, [*view.responses, *[""] * (len(cards) - len(view.responses))], strict=True))
        return [values.get(component, gr.skip()) for component in outputs]


def in_words(error: LabelingError) -> str:
    problems = "; ".join(error.problems)
    return f"{error.message} {problems + '. ' if problems else ''}{error.remedy[:1].upper()}{error.remedy[1:]}".strip()


def _refused(error: LabelingError, told: Sent, outputs: Sequence[Any]) -> Values:
    """Said in words; where the store can't be reached the page sends its answer again by itself."""
    refused = {
        "refused": in_words(error),
        "submission": told.text("submission"),
        "person": told.user,
        "again": isinstance(error, Unavailable),
    }
    saved = f"**Not saved.** {in_words(error)}" if told.text("submission") else in_words(error)
    return [in_json(refused), saved, *[gr.skip()] * (len(outputs) - 2)]


def _root() -> Any:
    blocks = gr.context.Context.root_block
    if blocks is None:
        raise RuntimeError("the page is made outside of gr.Blocks")
    return blocks
