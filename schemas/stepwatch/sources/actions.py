"""How actions are named: one scheme for all products.

`<area>.<thing>.<verb>`, dotted lower case, `_` inside a word. The same deed has the same name in every
product, so that one policy covers them all.

- `idp`: people, their factors and the rules of proving, in an identity provider or where a product keeps
  users of its own: `idp.factor.reset`, `idp.role.grant`, `idp.policy.update`, `idp.group.member_add`
- `iam`: rights and keys in a cloud: `iam.policy.attach`, `iam.access_key.create`, `iam.role.assume`
- `kms`, `secrets`: key material and secrets: `kms.key.delete`, `secrets.secret.read`
- `audit`: the logs that would show it: `audit.log.stop`
- `code`: repositories, what protects them and what is built from them: `code.repository.delete`,
  `code.branch_protection.override`, `code.runner.create`
- `storage`, `compute`, `network`, `database`: the resources: `storage.snapshot.share`,
  `compute.instance.login`
- what no table names keeps its product's words: `ec2.traffic_mirror_session.create`
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

LOW: Final = "low"
MODERATE: Final = "moderate"
HIGH: Final = "high"
CRITICAL: Final = "critical"


class Deed(NamedTuple):
    """What an event name of a vendor means.

    Attributes:
        action: by the scheme above.
        resource: type of what it was done to; "" where nothing is named.
        sensitivity: one of the four of contract section 3.
        where: where the row names the resource, the first that names one counts; each adapter says how it
            reads them.
    """

    action: str
    resource: str
    sensitivity: str
    where: tuple[str, ...] = ()


def parse_table(table: str) -> dict[str, Deed]:
    """A table of deeds, by vendor name.

    Args:
        table: a line each: `names | action | resource or - | sensitivity | where`. An indented line goes on
            with the line before it; `#` begins a comment line. Several names, and several places, are
            separated by a space.

    Raises:
        ValueError: a line of another form, or a name given twice.
    """
    deeds: dict[str, Deed] = {}
    for line in table.replace("\n    ", " ").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        names, action, resource, sensitivity, where = (cell.strip() for cell in line.split("|"))
        deed = Deed(action, "" if resource == "-" else resource, sensitivity, tuple(where.split()))
        for name in names.split():
            if name in deeds:
                raise ValueError(f"{name} is given twice")
            deeds[name] = deed
    return deeds


_CAMEL = re.compile(r"[A-Z]{2,}s(?![a-z])|[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|[0-9]+", re.ASCII)
_NO_WORD = re.compile(r"[^a-z0-9]+")


def camel_words(name: str) -> list[str]:
    """`CreateDBSnapshot` as `["create", "db", "snapshot"]`, `ListWebACLs` as `["list", "web", "acls"]`."""
    return [word.lower() for word in _CAMEL.findall(name)]


def plain_word(name: str) -> str:
    """A word of an action's name: lower case, digits and `_`."""
    return _NO_WORD.sub("_", name.lower()).strip("_")
