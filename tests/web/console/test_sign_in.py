"""The door: token and passwords, what a guesser meets, sessions that end, cookies that stay at home."""

from __future__ import annotations

from pathlib import Path

import pytest

from stepwatch.console.users import remove_user
from tests.web.console.pages import PASSWORD, TOKEN, Site, alert, csrf_of, sign_in

SECOND_US = 1_000_000


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path, alert(), console_idle_ms=600_000, console_session_ms=3_600_000)


def test_the_token_opens_while_nobody_has_a_password(site: Site) -> None:
    browser = site.browser()
    assert sign_in(browser, "not it").status_code == 403
    assert browser.get("/").status_code == 303
    assert sign_in(browser, TOKEN).status_code == 303
    assert "admin" in browser.get("/").text


def test_the_link_that_was_printed_fills_the_token_in_and_signs_nobody_in_by_itself(site: Site) -> None:
    browser = site.browser()
    page = browser.get(f"/sign-in?token={TOKEN}")
    assert f'value="{TOKEN}"' in page.text
    assert browser.get("/").status_code == 303


def test_the_token_opens_nothing_once_somebody_has_a_password(site: Site) -> None:
    before = site.signed_in()
    site.user("rosa", "viewer")
    assert before.get("/").status_code == 303
    assert sign_in(site.browser(), TOKEN).status_code == 403
    assert sign_in(site.browser(), TOKEN, "rosa").status_code == 403
    assert "rosa" in site.signed_in("rosa").get("/").text


@pytest.mark.parametrize("name", ["rosa", "nobody"])
def test_a_wrong_password_and_an_unknown_name_are_told_alike(site: Site, name: str) -> None:
    site.user("rosa")
    answer = sign_in(site.browser(), "wrong password", name)
    assert answer.status_code == 403
    assert "name or password is wrong" in answer.text


def test_after_five_failures_the_sixth_try_waits_even_with_the_right_password(site: Site) -> None:
    site.user("rosa")
    browser = site.browser()
    assert [sign_in(browser, "wrong password", "rosa").status_code for _ in range(5)] == [403] * 5
    locked = sign_in(browser, PASSWORD, "rosa")
    assert (locked.status_code, locked.headers["retry-after"]) == (429, "300")
    site.now_us += 300 * SECOND_US
    assert sign_in(browser, PASSWORD, "rosa").status_code == 303


def test_one_address_may_not_try_many_names(site: Site) -> None:
    site.user("rosa")
    browser = site.browser()
    answers = [sign_in(browser, "wrong password", f"name-{number}").status_code for number in range(21)]
    assert answers == [403] * 20 + [429]


def test_a_session_ends_when_it_lies_unused_and_a_page_that_refreshes_itself_is_no_use(site: Site) -> None:
    browser = site.signed_in()
    site.now_us += 599 * SECOND_US
    assert browser.get("/").status_code == 200
    site.now_us += 599 * SECOND_US
    assert browser.get("/", headers={"HX-Request": "true"}).status_code == 200
    site.now_us += SECOND_US
    piece = browser.get("/", headers={"HX-Request": "true"})
    assert (piece.status_code, piece.headers["hx-redirect"]) == (401, "/sign-in")
    assert browser.get("/").status_code == 303


def test_a_session_ends_after_its_longest_time_however_much_it_is_used(site: Site) -> None:
    browser = site.signed_in()
    for _ in range(11):
        site.now_us += 300 * SECOND_US
        assert browser.get("/").status_code == 200
    site.now_us += 300 * SECOND_US
    assert browser.get("/").status_code == 303


def test_signing_out_ends_the_session_for_whoever_kept_its_cookie(site: Site) -> None:
    browser, thief = site.signed_in(), site.browser()
    thief.cookies.update(browser.cookies)
    assert thief.get("/").status_code == 200
    assert browser.post("/sign-out", data={"csrf": csrf_of(browser.get("/"))}).status_code == 303
    assert thief.get("/").status_code == 303


def test_another_password_and_a_removed_user_end_their_sessions_at_once(site: Site) -> None:
    site.user("admin", "admin")
    site.user("rosa")
    browser = site.signed_in("rosa")
    site.user("rosa")
    assert browser.get("/").status_code == 303
    browser = site.signed_in("rosa")
    remove_user(site.console.settings.console_users_path, "rosa")
    assert browser.get("/").status_code == 303


def test_a_changed_role_counts_from_the_next_request_on(site: Site) -> None:
    site.user("rosa", "responder")
    browser = site.signed_in("rosa")
    assert "Acknowledge</button>" in browser.get("/alerts/al_1").text
    site.user("rosa", "viewer")
    assert "Acknowledge</button>" not in site.signed_in("rosa").get("/alerts/al_1").text


def test_a_password_file_that_others_may_write_lets_nobody_in_and_says_why_to_the_operator(site: Site) -> None:
    site.user("rosa")
    browser = site.signed_in("rosa")
    path = site.console.settings.console_users_path
    path.chmod(0o666)
    path.touch()
    for answer in (browser.get("/"), site.browser().get("/sign-in")):
        assert answer.status_code == 503
        assert str(path) not in answer.text
    assert "others may write to it" in browser.get("/readyz").text


@pytest.mark.parametrize(
    ("said", "led"),
    [
        ("/alerts?state=all", "/alerts?state=all"),
        ("https://evil.example/", "/"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("/\t/evil.example", "/"),
        ("javascript:alert(1)", "/"),
    ],
)
def test_after_signing_in_one_is_led_to_a_page_of_ours_only(site: Site, said: str, led: str) -> None:
    assert sign_in(site.browser(), TOKEN, next=said).headers["location"] == led


def test_a_sign_in_that_another_page_sends_is_refused(site: Site) -> None:
    browser = site.browser()
    assert browser.post("/sign-in", data={"secret": TOKEN, "csrf": "guessed"}).status_code == 403
    browser.get("/sign-in")
    assert browser.post("/sign-in", data={"secret": TOKEN, "csrf": "guessed"}).status_code == 403


@pytest.mark.parametrize(
    ("base", "name", "secure"), [("http://h", "stepwatch", False), ("https://h", "__Host-stepwatch", True)]
)
def test_the_cookie_is_not_for_scripts_and_with_tls_for_this_host_alone(
    tmp_path: Path, base: str, name: str, secure: bool
) -> None:
    browser = Site(tmp_path, base=base).browser()
    answer = sign_in(browser, TOKEN)
    (cookie,) = [one for one in answer.headers.get_list("set-cookie") if one.startswith(f"{name}=")]
    words = {word.strip().lower() for word in cookie.split(";")[1:]}
    assert {"httponly", "samesite=lax", "path=/"} <= words
    assert ("secure" in words) == secure
    assert not any(word.startswith("domain") for word in words)
    assert ("strict-transport-security" in answer.headers) == secure
