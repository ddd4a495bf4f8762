"""Who is let in to the lead's pages, and what all of them have in common."""

import pytest
from sqlalchemy import update

from labeling_app.accounts.people import pause
from labeling_app.store.tables import Project, Session, User
from tests.labeling_app.made import a_project
from tests.labeling_app.web.lead.visiting import Site, seen, settings_fields

ADDRESSES = [
    *("/lead/", "/lead/projects/new", "/lead/people", "/lead/people/1", "/lead/log", "/lead/nowhere"),
    *(
        f"/lead/projects/1/{page}"
        for page in ("", "items", "items/upload", "guidelines", "export", "settings", "close")
    ),
]


def test_a_lead_is_led_to_the_projects_and_others_to_their_work(site: Site) -> None:
    for name, home in (("dora", "/lead/"), ("ana", "/app/")):
        client = site.visitor()
        assert client.get("/").headers["location"] == "/app/"
        entered = client.post("/login", data={"username": name, "password": "correct horse battery"})
        assert entered.headers["location"] == home
        assert client.get("/").headers["location"] == home


@pytest.mark.parametrize("address", ADDRESSES)
def test_nobody_is_led_to_the_login(site: Site, address: str) -> None:
    visitor = site.visitor()
    assert visitor.get(address).headers["location"] == "/login"
    assert visitor.get(address, headers={"accept": "*/*"}).status_code == 401
    sent = visitor.post(address, data={"name": "films"})
    assert sent.status_code == 401 and "Your session has ended" in sent.text


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_annotator_is_told_nothing(site: Site, address: str) -> None:
    a_project(site.database, guidelines="# Secret")
    ana = site.session("ana")
    for answer in (ana.get(address), ana.post(address, data={"name": "films"})):
        assert answer.status_code == 403 and "for leads" in answer.text and "Secret" not in answer.text


def test_a_lead_who_is_paused_is_out(site: Site) -> None:
    dora = site.session("dora")
    with site.database.read() as session:
        number = session.query(User.id).filter(User.name == "dora").scalar()
    pause(site.database, None, number, "a rest")
    assert dora.get("/lead/").headers["location"] == "/login"
    assert dora.post("/lead/projects/new", data={"name": "films"}).status_code == 401


def test_a_session_that_has_expired_is_out(site: Site) -> None:
    dora = site.session("dora")
    with site.database.write() as session:
        session.execute(update(Session).values(expires_at=site.database.now()))
    assert dora.get("/lead/").headers["location"] == "/login"


def test_another_origin_changes_nothing(site: Site) -> None:
    dora = site.session("dora")
    answer = dora.post("/lead/projects/new", data={"name": "films"}, headers={"origin": "http://evil.example"})
    assert answer.status_code == 403
    with site.database.read() as session:
        assert session.query(Project).count() == 0


def test_what_is_not_there_is_a_page_too(site: Site) -> None:
    a_project(site.database)
    dora = site.session("dora")
    for address in ("/lead/nowhere", "/lead/projects/999/", "/lead/projects/x/", f"/lead/projects/{'9' * 30}/items"):
        answer = dora.get(address)
        assert answer.status_code == 404 and "Not found" in seen(answer).words, address
    assert dora.post("/lead/", data={}).status_code == 405


def test_a_body_that_is_no_form_is_refused(site: Site) -> None:
    dora = site.session("dora")
    headers = {"content-type": "multipart/form-data; boundary=x"}
    assert dora.post("/lead/projects/new", content=b"--x\r\nnonsense", headers=headers).status_code == 400
    assert dora.post("/lead/projects/new", content=b"x" * 1_000_001).status_code == 413


def test_a_lead_without_a_project_is_shown_where_to_begin(site: Site) -> None:
    dora = site.session("dora")
    page = seen(dora.get("/lead/"))
    assert "Begin your first project" in page.words and "/lead/projects/new" in page.links()
    a_project(site.database)
    assert "Begin your first project" not in seen(dora.get("/lead/")).words


def test_both_surfaces_lead_to_each_other_and_out(site: Site) -> None:
    page = seen(site.session("dora").get("/lead/"))
    assert "/app/" in page.links()
    assert ("form", {"method": "post", "action": "/logout"}) in page.tags


def test_what_was_done_is_said_once_and_only_by_us(site: Site) -> None:
    dora = site.session("dora")
    begun = settings_fields(name="<b>films</b>", guidelines="Be fair.")
    answer = dora.post("/lead/projects/new", data=begun)
    assert answer.status_code == 303
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=strict" in cookie and "path=/lead" in cookie
    said = dora.cookies["said"]
    assert "“<b>films</b>” is begun" in seen(dora.get("/lead/")).words
    assert "is begun" not in seen(dora.get("/lead/")).words
    other = site.session("dora")
    for forged in (said, f"{said.partition('.')[0]}.", "x", "x.y", ".", "é.é"):
        cookies = f"session={other.cookies['session']}; said={forged}".encode("latin-1")
        page = other.get("/lead/", headers={"cookie": cookies})
        assert page.status_code == 200 and "is begun" not in page.text


def test_pages_carry_the_policy_and_only_files_of_ours(site: Site) -> None:
    dora = site.session("dora")
    a_project(site.database)
    answer = dora.get("/lead/")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"
    page = seen(answer)
    for kind, tag in page.tags:
        address = str(tag.get("src") or tag.get("href") or "/")
        assert address.startswith(("/", "#")) and not [name for name in tag if name.startswith("on")], (kind, tag)
        if kind in ("link", "script"):
            assert dora.get(address).status_code == 200
