"""Inviting, pausing, logging out and forgetting people, by the page."""

import re

import pytest

from labeling_app.accounts import people
from labeling_app.store.tables import Role
from tests.labeling_app.web.lead.visiting import ADDRESS, Site, actions, seen, send
from tests.labeling_app.web.running import PASSWORD, account


def lines(site: Site) -> dict[str, people.PersonLine]:
    return {line.name: line for line in people.list_people(site.database, None)}


def test_an_invitation_is_shown_once_and_lets_in(site: Site) -> None:
    dora = site.session("dora")
    answer = dora.post("/lead/people", data={"name": " Ben ", "role": "annotator"})
    link = re.search(rf"{ADDRESS}(/invitation/[\w-]+)", answer.text)
    assert answer.status_code == 200 and link is not None
    assert lines(site)["ben"].role is Role.annotator and "invited" in seen(dora.get("/lead/people")).words
    assert "/invitation/" not in dora.get("/lead/people").text + dora.get(f"/lead/people/{lines(site)['ben'].id}").text
    ben = site.visitor()
    assert ben.post(link[1], data={"password": PASSWORD, "again": PASSWORD}).status_code == 200
    assert site.session("ben").get("/").headers["location"] == "/app/"
    assert actions(site.database) == ["person.create", "person.invite"]


def test_a_new_link_ends_the_one_before(site: Site) -> None:
    dora = site.session("dora")
    number = lines(site)["ana"].id
    links = [re.findall(r"/invitation/[\w-]+", dora.post(f"/lead/people/{number}/link").text)[0] for _ in "12"]
    assert [site.visitor().get(link).status_code for link in links] == [404, 200]


@pytest.mark.parametrize("name", ["", " ", "ana", "ANA", "two\nlines", "x" * 81])
def test_a_name_that_can_not_be_is_refused_and_kept(site: Site, name: str) -> None:
    answer = site.session("dora").post("/lead/people", data={"name": name, "role": "lead"})
    assert answer.status_code == 400 and seen(answer).field("name") == name
    assert len(lines(site)) == 2 and actions(site.database) == []


def test_another_lead_is_invited(site: Site) -> None:
    site.session("dora").post("/lead/people", data={"name": "cleo", "role": "lead"})
    assert lines(site)["cleo"].role is Role.lead


def test_an_annotator_becomes_a_lead_and_one_again(site: Site) -> None:
    dora, ana = site.session("dora"), site.session("ana")
    address = f"/lead/people/{lines(site)['ana'].id}"
    assert ana.get("/lead/people").status_code == 403
    assert "ana is a lead" in seen(send(dora, f"{address}/role", role="lead")).words
    assert ana.get("/lead/people").status_code == 200
    assert "ana is an annotator." in seen(send(dora, f"{address}/role", role="annotator")).words
    assert ana.get("/lead/people").status_code == 403
    send(dora, f"{address}/role", role="annotator")  # nothing changes
    own = f"/lead/people/{lines(site)['dora'].id}"
    assert "/role" not in dora.get(own).text
    assert "change your own role" in seen(dora.post(f"{own}/role", data={"role": "annotator"})).words
    assert actions(site.database) == ["person.role", "person.role"]
    assert "annotator → lead" in seen(dora.get("/lead/log")).words


def test_somebody_is_paused_and_works_again(site: Site) -> None:
    dora, ana = site.session("dora"), site.session("ana")
    address = f"/lead/people/{lines(site)['ana'].id}"
    refused = dora.post(f"{address}/pause", data={"reason": " ", "withhold": "yes"})
    assert refused.status_code == 400 and "A reason has 1 to 500 characters" in seen(refused).words
    page = seen(send(dora, f"{address}/pause", reason="<b>rest</b>", withhold="yes"))
    assert "ana is paused. Their labels are left out of exports." in page.words and "<b>rest</b>" in page.words
    assert lines(site)["ana"].withheld and lines(site)["ana"].paused_reason == "<b>rest</b>"
    assert ana.get("/").headers["location"] == "/app/" and ana.get("/lead/").headers["location"] == "/login"
    send(dora, f"{address}/resume")
    assert not lines(site)["ana"].withheld and lines(site)["ana"].paused_reason is None
    assert actions(site.database) == ["person.pause", "person.resume"]


def test_somebody_is_logged_out_everywhere(site: Site) -> None:
    dora = site.session("dora")
    account(site.database, "cleo", Role.lead)
    cleo = site.session("cleo")
    assert cleo.get("/lead/").status_code == 200
    send(dora, f"/lead/people/{lines(site)['cleo'].id}/log-out")
    assert cleo.get("/lead/").headers["location"] == "/login"
    assert actions(site.database) == ["person.log_out"]


def test_somebody_is_forgotten_when_their_name_is_typed(site: Site) -> None:
    dora = site.session("dora")
    number = lines(site)["ana"].id
    refused = dora.post(f"/lead/people/{number}/forget", data={"confirm": "an"})
    assert refused.status_code == 400 and seen(refused).field("confirm") == "an" and "ana" in lines(site)
    assert "Forgotten." in seen(send(dora, f"/lead/people/{number}/forget", confirm=" Ana ")).words
    assert set(lines(site)) == {"dora"} and dora.get(f"/lead/people/{number}").status_code == 404
    assert "ana" not in seen(dora.get("/lead/log")).words.split()
    assert actions(site.database) == ["person.forget"]


def test_a_lead_can_not_shut_themselves_out(site: Site) -> None:
    dora = site.session("dora")
    address = f"/lead/people/{lines(site)['dora'].id}"
    page = dora.get(address)
    assert "(you)" in seen(page).words and "/forget" not in page.text and "/pause" not in page.text
    assert "You can't pause yourself" in seen(dora.post(f"{address}/pause", data={"reason": "x"})).words
    assert "have yourself forgotten" in seen(dora.post(f"{address}/forget", data={"confirm": "dora"})).words
    assert dora.get("/lead/").status_code == 200


def test_nobody_of_that_number(site: Site) -> None:
    dora = site.session("dora")
    for number in ("999", "x", "9" * 40):
        assert dora.get(f"/lead/people/{number}").status_code == 404
        for verb in ("link", "pause", "resume", "log-out", "forget"):
            assert dora.post(f"/lead/people/{number}/{verb}", data={"reason": "x"}).status_code == 404
