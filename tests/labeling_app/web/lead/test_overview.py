"""The overview: its numbers, its table, its plots, and how they follow the work."""

import re
import xml.etree.ElementTree as ElementTree

import pytest
from httpx import Response
from starlette.testclient import TestClient

from labeling_app.accounts.people import create_person, pause
from labeling_app.store.tables import Role
from labeling_app.web.lead import plots
from tests.labeling_app.clock import Clock
from tests.labeling_app.judged import choice, judge
from tests.labeling_app.made import a_project, add_items, people, some_items
from tests.labeling_app.web.lead.visiting import Site, seen
from tests.labeling_app.web.running import account

HOSTILE = "<img src=x onerror=hacked()>"


@pytest.fixture
def dora(site: Site) -> TestClient:
    return site.session("dora")


def judged(site: Site) -> tuple[int, list[int]]:
    """A project in which two people judged forty items, and half of them in the same way; and the two."""
    project = a_project(site.database, overlap=2)
    items = add_items(site.database, project, some_items(40))
    two = people(site.database, 2)
    for number, item in enumerate(items):
        judge(site.database, item, two[0], choice(2), order=(number % 2, 1 - number % 2))
        judge(site.database, item, two[1], choice(2 if number % 2 else -2), seconds=20)
    return project, two


def numbers(answer: Response) -> dict[str, str]:
    """The four numbers of the first row."""
    ids = {"today": "labels-today", "done": "items-done", "agreement": "agreement", "disputes": "disputes"}
    return {name: re.findall(f'id="{of}">([^<]*)<', answer.text)[0] for name, of in ids.items()}


def test_the_four_numbers_and_who_judged(site: Site, dora: TestClient) -> None:
    project, _ = judged(site)
    answer = dora.get(f"/lead/projects/{project}/")
    page = seen(answer)
    assert numbers(answer) == {"today": "80", "done": "40", "agreement": "−0.32", "disputes": "20"}
    assert "annotator-3" in page.words and "annotator-4" in page.words
    assert "Only 40 items were judged by two or more: this may change a lot." in page.words
    assert "Cohen’s kappa" in page.words and "Fleiss’" not in page.words  # of two people
    assert f"/lead/projects/{project}/adjudication" in page.links()


def test_it_follows_the_work(site: Site, clock: Clock, dora: TestClient) -> None:
    project = a_project(site.database)
    first, second = add_items(site.database, project, some_items(2))
    (ana,) = people(site.database, 1)
    address = f"/lead/projects/{project}/figures"
    assert "Nobody has judged anything yet" in dora.get(address).text
    judge(site.database, first, ana, choice(1))
    clock.forward(seconds=11)
    assert numbers(dora.get(address))["today"] == "1"
    judge(site.database, second, ana, choice(1))
    assert numbers(dora.get(address))["today"] == "1"
    clock.forward(seconds=11)
    answer = dora.get(address)
    assert numbers(answer)["today"] == "2" and "<html" not in answer.text
    page = seen(dora.get(f"/lead/projects/{project}/"))
    (live,) = [tag for _, tag in page.tags if "data-live" in tag]
    assert live["data-live"] == address and ("meta", {"http-equiv": "refresh", "content": "30"}) in page.tags
    clock.forward(days=1)
    assert numbers(site.session("dora").get(address))["today"] == "0"


def test_the_table_is_sorted_by_links(site: Site, dora: TestClient) -> None:
    project, two = judged(site)
    slow, quick = "annotator-4", "annotator-3"

    def order(query: str) -> list[str]:
        text = dora.get(f"/lead/projects/{project}/{query}").text
        table = text[text.index('<table class="people">') :]
        return sorted((quick, slow), key=table.index)

    assert order("") == [quick, slow]
    assert order("?sort=seconds&order=down") == [slow, quick]
    assert order("?sort=seconds&order=up") == [quick, slow]
    assert order("?sort=name&order=down") == [slow, quick]
    assert order("?sort=nonsense&order=%3Cscript%3E") == [quick, slow]
    page = seen(dora.get(f"/lead/projects/{project}/?sort=seconds&order=down"))
    told = {tag.get("aria-sort") for kind, tag in page.tags if kind == "th" and tag.get("scope") == "col"}
    assert "descending" in told and "ascending" not in told
    assert f"/lead/projects/{project}/?sort=seconds&order=up#people" in page.links()
    (live,) = [tag for _, tag in page.tags if "data-live" in tag]
    assert str(live["data-live"]).endswith("figures?sort=seconds&order=down")


def test_a_mark_comes_with_its_reason(site: Site, clock: Clock, dora: TestClient) -> None:
    project = a_project(site.database)
    items = add_items(site.database, project, some_items(60))
    (eve,) = people(site.database, 1)
    for number, item in enumerate(items):
        first = number % 2
        left = choice(-1 if first == 0 else 1)
        judge(site.database, item, eve, left, order=(first, 1 - first))
    page = seen(dora.get(f"/lead/projects/{project}/"))
    assert "Takes the left response in 100%" in page.words and "without a leaning it is half" in page.words
    pause(site.database, None, eve, "only left", withhold=True)
    clock.forward(seconds=11)
    assert "withheld" in seen(dora.get(f"/lead/projects/{project}/")).words


def test_plots_say_what_they_show_and_what_is_good(site: Site, dora: TestClient) -> None:
    project, _ = judged(site)
    text = dora.get(f"/lead/projects/{project}/").text
    drawings = re.findall(r"<svg.*?</svg>", text, flags=re.DOTALL)
    assert len(drawings) == 4  # none of lengths: all responses are as long
    ids = []
    for drawing in drawings:
        root = ElementTree.fromstring(drawing)
        title, description = list(root)[:2]
        assert title.text and "Good:" in (description.text or "") and root.get("role") == "img"
        ids += [element.get("id") for element in root.iter() if element.get("id")]
        assert "http" not in drawing.replace("http://www.w3.org/", "") and "<script" not in drawing
    assert len(ids) == len(set(ids))  # several drawings share the page
    assert "annotator-3 50%" in text  # in words, of the left picks


def test_a_hostile_name_stays_text(site: Site, dora: TestClient) -> None:
    project = a_project(site.database, overlap=2)
    (item,) = add_items(site.database, project, some_items(1))
    for name in (HOSTILE, "</title><script>hacked()</script>"):
        judge(site.database, item, create_person(site.database, None, name, Role.annotator), choice(1), seconds=4)
    answer = dora.get(f"/lead/projects/{project}/")
    page = seen(answer)
    assert HOSTILE in page.words and "<img" not in answer.text
    assert not [tag for kind, tag in page.tags if kind == "script" and "src" not in tag]


def test_a_project_without_items_says_where_to_begin(site: Site, dora: TestClient) -> None:
    project = a_project(site.database)
    page = seen(dora.get(f"/lead/projects/{project}/"))
    assert "no items yet" in page.words and f"/lead/projects/{project}/items" in page.links()


def test_rankings_have_an_overview_too(site: Site, dora: TestClient) -> None:
    project = a_project(site.database, mode="ranking", overlap=2)
    (item,) = add_items(site.database, project, some_items(1, responses=3))
    for user, ranks in zip(people(site.database, 2), ([1, 2, 3], [1, 3, 2]), strict=True):
        judge(site.database, item, user, {"kind": "ranking", "ranks": ranks})
    answer = dora.get(f"/lead/projects/{project}/")
    assert numbers(answer)["disputes"] == "1" and "Fleiss’ kappa" in seen(answer).words


@pytest.mark.parametrize("path", ["", "figures", "?sort=gold"])
def test_only_a_lead_sees_it(site: Site, path: str) -> None:
    project, _ = judged(site)
    address = f"/lead/projects/{project}/{path}"
    assert site.visitor().get(address).headers["location"] == "/login"
    answer = site.session("ana").get(address)
    assert answer.status_code == 403 and "annotator-3" not in answer.text
    dora = site.session("dora")
    assert dora.get(address).status_code == 200
    assert dora.get(f"/lead/projects/{project + 1}/{path}").status_code == 404
    emil = account(site.database, "emil", Role.lead)
    paused = site.session("emil")
    pause(site.database, None, emil, "a rest")
    assert paused.get(address).headers["location"] == "/login"


def test_many_people_do_not_fill_the_page_with_a_plot(
    monkeypatch: pytest.MonkeyPatch, site: Site, dora: TestClient
) -> None:
    monkeypatch.setattr(plots, "MOST_PEOPLE", 1)
    project, two = judged(site)
    (more,) = add_items(site.database, project, some_items(1, start=90))
    judge(site.database, more, two[1], choice(1))
    text = dora.get(f"/lead/projects/{project}/").text
    drawing = text[text.index("How often the left response is taken") :].split("</figure>")[0]
    assert "Shown are the 1 who judged most" in drawing and "annotator-4" in drawing and "annotator-3" not in drawing
