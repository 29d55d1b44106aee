"""What the products' own rows say of who is who: beside the id that an adapter gives as subject, other names.

One row of Okta's names a person twice, by profile id and by login; one record of CloudTrail's names a role's session
by its ARN, and in it whom the session was named after. So the rows themselves are the evidence for the `identities`
of a policy set. Rules that all readers keep:

- **The same row.** Two names belong together only where one row says both of one person. Nothing is looked up, and
  nothing is guessed from how names look.
- **Names that events speak of people by.** Display names ("Rosa Diaz") are left out, and so are keys that no event has
  as its subject (IAM's `principalId`, GitHub's `actor_id`): as an alias, `41` would be whoever is `41` anywhere.
- **People only**, as far as the row says: Okta's client apps and AWS's services have no aliases.

| product | subject | other names |
|---|---|---|
| okta | `actor.id`, `target[User].id` | `alternateId` beside it |
| cloudtrail | by `cloudtrail_identity.py` | the role session's name, or `userName`; `onBehalfOf.userId` |
| entra | `userId`, `initiatedBy.user.id`, `targetResources[User].id` | `userPrincipalName` beside it |
| keycloak | `userId`, `authDetails.userId` | `username`, `email` beside it |
| github | `actor` | `external_identity_nameid`, `external_identity_username` |
| duo | `user.name`, `username` | `email`, `alias` |
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC
from typing import Any, Final, NamedTuple

from stepwatch.sources import base
from stepwatch.sources.base import Skip, at, ident, text
from stepwatch.sources.cloudtrail_identity import caller_of
from stepwatch.sources.entra_row import Row as EntraRow
from stepwatch.sources.entra_row import guid
from stepwatch.sources.keycloak_lines import events_in

_DEPTH_MAX: Final = 4
"""Envelopes within envelopes; no product nests deeper."""
_KEYCLOAK: Final = ("username", "email")


class Name(NamedTuple):
    """A name, and the field that it came from.

    Attributes:
        is_id: made by the product, for one person: nobody else is called so, in any product.
    """

    name: str
    field: str
    is_id: bool = False


class Names(NamedTuple):
    """What one row says of one person.

    Attributes:
        who: the id under which events of this source speak of them, and the field that it came from.
        others: other names in the same row, at least one, none equal to `who`.
        own: `who` is one person's account. False for a session of a role: one person has many of those.
    """

    who: Name
    others: tuple[Name, ...]
    own: bool = True


def names(source: str, line: bytes) -> list[Names]:
    """Who is who by one line of a log; never raises.

    Args:
        source: the word after `--from`.
        line: as the adapter's `events` takes it.

    Returns:
        [] where the row names nobody twice, and for a source that has no reader here.
    """
    rows = READERS.get(source)
    return [] if rows is None or not line.strip() else list(rows(line))


def _names(who: Name, *others: Name, own: bool = True) -> Iterator[Names]:
    """What a row says, where it says more than one name."""
    found = {other.name: other for other in others if other.name and other.name != who.name}
    if who.name and found:
        yield Names(who, tuple(found.values()), own)


def _rows(value: Any, is_row: Callable[[dict[str, Any]], bool], depth: int = _DEPTH_MAX) -> Iterator[dict[str, Any]]:
    """The rows in a line, whatever envelope they came in."""
    if isinstance(value, dict) and is_row(value):
        yield value
    elif isinstance(value, dict | list) and depth:
        for one in value.values() if isinstance(value, dict) else value:
            if isinstance(one, str) and one[:1] in ("{", "["):
                one = base.decode_line(one.encode("utf-8", "replace"))
            yield from _rows(one, is_row, depth - 1)


def _okta(line: bytes) -> Iterator[Names]:
    for row in _rows(base.decode_line(line), lambda row: "eventType" in row or "eventtype" in row):
        actor = row.get("actor")
        itself = text(at(actor, "alternateId")).lower() == "system@okta.com"
        if text(at(actor, "type")).lower() in ("", "user") and not itself:
            yield from _names(_of(actor, "id", "actor"), _of(actor, "alternateId", "actor"))
        targets = row.get("target")
        for target in targets if isinstance(targets, list) else []:
            if text(at(target, "type")) == "User":
                yield from _names(_of(target, "id", "target[User]"), _of(target, "alternateId", "target[User]"))


def _of(value: Any, key: str, where: str, is_id: bool = False) -> Name:
    return Name(ident(at(value, key)), f"{where}.{key}", is_id)


def _cloudtrail(line: bytes) -> Iterator[Names]:
    for row in _rows(base.decode_line(line), lambda row: isinstance(row.get("userIdentity"), dict)):
        caller = caller_of(row)
        if isinstance(caller, Skip):
            continue
        identity = row["userIdentity"]
        who = Name(caller.subject, "userIdentity.arn" if identity.get("arn") else "userIdentity")
        for_whom = _of(at(identity, "onBehalfOf"), "userId", "userIdentity.onBehalfOf", is_id=True)
        if caller.kind == "AssumedRole":
            # A role's session: named by whoever assumed the role, which is evidence, and no proof.
            named = Name(who.name.rpartition("/")[2] if ":assumed-role/" in who.name else "", "name of the session")
            yield from _names(who, named, for_whom, own=False)
        elif caller.kind in ("IAMUser", "IdentityCenterUser"):
            yield from _names(who, _of(identity, "userName", "userIdentity"), for_whom)


def _entra(line: bytes) -> Iterator[Names]:
    for raw in _rows(base.decode_line(line), _is_entra):
        row = EntraRow(raw, "", "")
        yield from _names(
            Name(guid(row.get("userId")), "userId"), Name(ident(row.get("userPrincipalName")), "userPrincipalName")
        )
        user = at(row.part("initiatedBy"), "user")
        yield from _entra_user(user, "initiatedBy.user")
        for target in row.listed("targetResources"):
            if text(target.get("type")).lower() == "user":
                yield from _entra_user(target, "targetResources[User]")


def _is_entra(row: dict[str, Any]) -> bool:
    signs = ("userid", "userprincipalname", "initiatedby", "targetresources")
    return isinstance(row.get("properties"), dict) or any(key.lower() in signs for key in row)


def _entra_user(user: Any, where: str) -> Iterator[Names]:
    yield from _names(Name(guid(at(user, "id")), f"{where}.id"), _of(user, "userPrincipalName", where))


def _keycloak(line: bytes) -> Iterator[Names]:
    for found in events_in(line, UTC):
        if isinstance(found, Skip):
            continue
        raw = found.fields
        details = raw["details"] if isinstance(raw.get("details"), dict) else raw
        failed = text(raw.get("type")).upper().endswith("_ERROR") or bool(raw.get("error"))
        # Of a failure, the user name is what somebody typed; of an impersonation, there are two people in the row.
        if not failed and not details.get("impersonator"):
            yield from _names(_of(raw, "userId", "event"), *(_of(details, key, "details") for key in _KEYCLOAK))
        auth = raw.get("authDetails")
        yield from _names(_of(auth, "userId", "authDetails"), *(_of(auth, key, "authDetails") for key in _KEYCLOAK))


def _github(line: bytes) -> Iterator[Names]:
    # Enterprise Server writes syslog lines.
    start = 0 if line.lstrip()[:1] in (b"{", b"[") else max(line.find(b"{"), 0)
    for row in _rows(base.decode_line(line[start:]), lambda row: isinstance(row.get("actor"), str)):
        # Where the row is about somebody else than the actor, it does not say whose external identity it names.
        about_actor = row.get("user") in (None, "", row["actor"]) and row.get("actor_is_bot") is not True
        if about_actor and not text(row.get("action")).startswith("external_identity."):
            others = (_of(row, f"external_identity_{key}", "row") for key in ("nameid", "username"))
            yield from _names(_of(row, "actor", "row"), *others)


def _duo(line: bytes) -> Iterator[Names]:
    for row in _rows(base.decode_line(line), _is_duo):
        user = row.get("user")
        others = (_of(row, key, "row") for key in ("email", "alias"))
        if isinstance(user, dict):
            yield from _names(_of(user, "name", "user"), *others)
        elif "factor" in row:
            yield from _names(_of(row, "username", "row"), *others)


def _is_duo(row: dict[str, Any]) -> bool:
    return "txid" in row or "factor" in row


READERS: Final[dict[str, Callable[[bytes], Iterator[Names]]]] = {
    "okta": _okta,
    "cloudtrail": _cloudtrail,
    "entra": _entra,
    "keycloak": _keycloak,
    "github": _github,
    "duo": _duo,
}
"""By the word after `--from`."""
