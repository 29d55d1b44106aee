"""Who may ask for what: every route with every role and tenant, and what a foreign page can do."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from stepwatch.console import app as app_module
from stepwatch.console.app import PAGES, POLICY
from stepwatch.console.requests import Page
from stepwatch.console.users import ROLES, read_users
from tests.web.console.pages import Site, alert, csrf_of

WHOSE = {"acme": "al_1", "globex": "al_2"}
FOR_ALL = {"/dead-letters", "/dead-letters/{id}", "/dead-letters/{id}/replay"}
"""For whoever sees every tenant."""
FROM_TABLES = {"/action", "/subject", "/search", "/search.csv", "/search.parquet", "/policies", "/policy", "/sources"}
OPEN_TO_ALL = {"/sign-in", "/healthz", "/readyz"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """One for all: to hash a password takes a while, and nothing that is asked here changes it."""
    site = Site(
        tmp_path_factory.mktemp("site"), *(alert(alert_id, tenant=tenant) for tenant, alert_id in WHOSE.items())
    )
    for role in ROLES:
        site.user(f"{role}-of-acme", role, "acme")
        site.user(f"{role}-of-all", role, "*")
    return site


def address(page: Page, tenant: str) -> str:
    """A page about something of a tenant."""
    path = page.path.replace("{id}", "0@0" if page.path in FOR_ALL else WHOSE[tenant])
    return {
        "/action": f"/action?tenant={tenant}&source=/app&id=a-1",
        "/subject": f"/subject?tenant={tenant}&subject=alice",
        "/policy": "/policy?id=payout",
    }.get(path, path)


def ask(browser: TestClient, page: Page, tenant: str) -> int:
    """The status of the page, with the form's secret where it is one."""
    if page.method == "GET":
        return browser.get(address(page, tenant)).status_code
    form = {"csrf": csrf_of(browser.get("/")), "seen": "1", "note": "n", "for": "1h"}
    return browser.post(address(page, tenant), data=form).status_code


def browser_of(site: Site, name: str) -> TestClient:
    """A browser of a user, signed in without the form, which other tests go through."""
    browser = site.browser()
    user = read_users(site.console.settings.console_users_path)[name]
    secret, _ = site.console.doors.begin(user)
    browser.cookies.set("stepwatch", secret)
    return browser


PRIVATE = [page for page in PAGES if page.role is not None and page.path != "/live"]
"""The stream of changes never ends, so it is asked for by itself."""


@pytest.mark.parametrize("page", PRIVATE, ids=lambda page: f"{page.method} {page.path}")
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("scope", ["acme", "all"])
@pytest.mark.parametrize("tenant", WHOSE)
def test_each_page_answers_each_role_for_its_own_tenants_only(
    site: Site, page: Page, role: str, scope: str, tenant: str
) -> None:
    status = ask(browser_of(site, f"{role}-of-{scope}"), page, tenant)
    for_all = page.path in FOR_ALL
    about_a_tenant = not for_all and ("{id}" in page.path or page.path in ("/action", "/subject"))
    assert page.role is not None
    if ROLES.index(page.role) > ROLES.index(role) or (for_all and scope == "acme"):
        assert status == 403
    elif about_a_tenant and scope == "acme" and tenant != "acme":
        assert status == 404
    else:
        # 503: it was let through to Kafka or ClickHouse, which are not there.
        assert status in {200, 303, 503}
        assert (status == 503) == (page.path in FROM_TABLES | FOR_ALL or (page.method == "POST" and about_a_tenant))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.method} {page.path}")
def test_a_stranger_sees_the_door_and_nothing_else(site: Site, page: Page) -> None:
    browser = site.browser()
    where = address(page, "acme")
    answer = browser.get(where) if page.method == "GET" else browser.post(where, data={"csrf": "x"})
    if page.path in OPEN_TO_ALL:
        assert answer.status_code == (403 if page.method == "POST" else 503 if page.path == "/readyz" else 200)
    elif page.method == "GET":
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/sign-in")
    else:
        assert answer.status_code == 401
    assert "title of" not in answer.text


def test_the_stream_of_changes_is_for_whoever_is_signed_in(tmp_path: Path) -> None:
    site = Site(tmp_path)
    stream = {"accept": "text/event-stream"}
    assert site.browser().get("/live", headers=stream).status_code == 401
    browser = site.signed_in()
    site.console.changes.close()
    assert browser.get("/live", headers=stream).status_code == 503


def test_a_list_and_an_overview_show_no_alert_of_another_tenant(site: Site) -> None:
    browser = browser_of(site, "viewer-of-acme")
    for path in ("/", "/alerts", "/alerts?state=all", "/alerts?tenant=globex"):
        assert "title of al_2" not in browser.get(path).text
    assert "title of al_1" in browser.get("/alerts").text
    assert "title of al_2" in browser_of(site, "viewer-of-all").get("/alerts").text


@pytest.mark.parametrize("page", [page for page in PRIVATE if page.method == "POST"], ids=lambda page: page.path)
def test_a_form_without_the_secret_of_its_session_is_refused(site: Site, page: Page) -> None:
    browser, other = browser_of(site, "admin-of-all"), browser_of(site, "admin-of-all")
    for csrf in ("", "x", csrf_of(other.get("/"))):
        answer = browser.post(address(page, "acme"), data={"csrf": csrf, "seen": "1"})
        assert answer.status_code == 403
    assert browser.get("/").status_code == 200


@pytest.mark.parametrize(
    "headers", [{"origin": "https://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}]
)
def test_a_form_that_says_it_comes_from_elsewhere_is_refused_whatever_it_holds(
    site: Site, headers: dict[str, str]
) -> None:
    browser = browser_of(site, "admin-of-all")
    form = {"csrf": csrf_of(browser.get("/"))}
    assert browser.post("/sign-out", data=form, headers=headers).status_code == 403
    assert browser.post("/sign-out", data=form, headers={"origin": "http://console"}).status_code == 303


def test_every_form_carries_the_secret(site: Site) -> None:
    browser = browser_of(site, "admin-of-all")
    for page in (browser.get("/"), browser.get("/alerts"), browser.get("/alerts/al_1"), site.browser().get("/sign-in")):
        forms = re.findall(r'<form[^>]*method="post".*?</form>', page.text, re.S)
        assert forms
        assert [form for form in forms if 'name="csrf" value="' not in form] == []


def test_nothing_runs_on_a_page_but_our_own_script_and_nobody_frames_it(site: Site) -> None:
    browser = browser_of(site, "admin-of-all")
    paths = ("/", "/alerts", "/alerts/al_1", "/nowhere", "/static/console.css", "/vendored/htmx.min.js", "/healthz")
    for path in paths:
        headers = browser.get(path).headers
        assert headers["content-security-policy"] == POLICY
        assert headers["x-frame-options"] == "DENY"
        assert headers["x-content-type-options"] == "nosniff"
    assert "unsafe" not in POLICY
    for path in paths[:4]:
        page = browser.get(path)
        assert page.headers["cache-control"] == "no-store"
        assert re.findall(r"<script(?! src=\"/(?:static|vendored)/[\w.]+\" defer></script>)", page.text) == []
        assert re.findall(r"<[^>]*\s(?:on\w+|style)=|<style", page.text) == []


def test_a_form_that_is_none_or_too_long_is_refused_in_words(site: Site) -> None:
    browser = browser_of(site, "admin-of-all")
    csrf = csrf_of(browser.get("/"))
    assert browser.post("/sign-out", content=b"{}", headers={"content-type": "application/json"}).status_code == 415
    long = browser.post("/alerts/al_1/note", data={"csrf": csrf, "seen": "1", "note": "n" * 70_000})
    assert (long.status_code, "65,536 bytes" in long.text) == (413, True)
    bad = b"csrf=%ff"
    headers = {"content-type": "application/x-www-form-urlencoded"}
    assert browser.post("/sign-out", content=bad, headers=headers).status_code == 400


def test_what_is_served_of_others_is_what_its_readme_names_and_licenses() -> None:
    folder = Path(app_module.__file__).parent / "vendored"
    named = dict(re.findall(r"^\| `([\w.]+)` .*`([0-9a-f]{64})` \|$", (folder / "README.md").read_text(), re.M))
    scripts = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.js")}
    assert scripts == named
    assert scripts
    assert all((folder / f"{name.split('.')[0]}.LICENSE.txt").is_file() for name in scripts)
