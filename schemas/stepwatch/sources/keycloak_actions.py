"""Keycloak events that are actions, by the scheme of `actions.py`.

A name is the type of a user event without `_ERROR`, or, of an admin event, `OPERATION.RESOURCE_TYPE` with the
words behind the object in its `resourcePath`: `users/7/reset-password` is `ACTION.USER.reset-password`. Of an
event of a realm, the words are the whole path. The last column names the resource, the first that says one:
of user events a field or a detail, of admin events the word of the path whose id follows. What is not here
gets a derived name (`deed_of`).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from stepwatch.sources.actions import HIGH, MODERATE, Deed, parse_table, plain_word

USER_ACTIONS: Final[dict[str, Deed]] = parse_table("""
# Accounts
REGISTER | idp.user.create | user | moderate | userId
UPDATE_PROFILE VERIFY_PROFILE | idp.user.update | user | moderate | userId
UPDATE_EMAIL | idp.user.email_change | user | high | userId
VERIFY_EMAIL | idp.user.email_verify | user | low | userId
DELETE_ACCOUNT | idp.user.delete | user | high | userId
FEDERATED_IDENTITY_LINK IDENTITY_PROVIDER_LINK_ACCOUNT | idp.user.link | user | high | userId
CLIENT_INITIATED_ACCOUNT_LINKING FEDERATED_IDENTITY_OVERRIDE_LINK | idp.user.link | user | high | userId
REMOVE_FEDERATED_IDENTITY | idp.user.unlink | user | high | userId
EXECUTE_ACTIONS EXECUTE_ACTION_TOKEN CUSTOM_REQUIRED_ACTION | idp.required_action.execute | user | low | userId

# Passwords and factors
UPDATE_PASSWORD | idp.password.change | user | moderate | userId
RESET_PASSWORD | idp.password.reset | user | high | userId
UPDATE_TOTP | idp.factor.enroll | user | high | userId
REMOVE_TOTP | idp.factor.remove | user | high | userId
UPDATE_CREDENTIAL | idp.credential.update | user | high | userId
REMOVE_CREDENTIAL | idp.credential.remove | user | high | userId

# Acting for others, and letting applications act
IMPERSONATE | idp.impersonation.start | user | critical | userId
TOKEN_EXCHANGE | idp.token.exchange | app | moderate | audience clientId
GRANT_CONSENT | idp.consent.grant | app | moderate | clientId
UPDATE_CONSENT | idp.consent.update | app | moderate | clientId
REVOKE_GRANT | idp.consent.revoke | app | low | revoked_client clientId
OAUTH2_DEVICE_VERIFY_USER_CODE | idp.device.authorize | app | moderate | clientId
IDENTITY_PROVIDER_RETRIEVE_TOKEN | idp.federation.token_read | identity_provider | high | identity_provider
CLIENT_REGISTER | idp.app.create | app | moderate | clientId
CLIENT_UPDATE | idp.app.update | app | high | clientId
CLIENT_DELETE | idp.app.delete | app | high | clientId
""")
FACTOR_ENROLL: Final = USER_ACTIONS["UPDATE_TOTP"]
FACTOR_REMOVE: Final = USER_ACTIONS["REMOVE_TOTP"]
RECOVERY_CODES: Final = Deed("idp.recovery_code.create", "user", HIGH, ("userId",))
PASSWORD_CHANGE: Final = USER_ACTIONS["UPDATE_PASSWORD"]
PASSWORD_REMOVE: Final = Deed("idp.password.remove", "user", HIGH, ("userId",))
IMPERSONATION: Final = USER_ACTIONS["IMPERSONATE"]

ADMIN_ACTIONS: Final[dict[str, Deed]] = parse_table("""
# Roles and groups
CREATE.REALM_ROLE_MAPPING CREATE.CLIENT_ROLE_MAPPING | idp.role.grant | user | critical | users groups
DELETE.REALM_ROLE_MAPPING DELETE.CLIENT_ROLE_MAPPING | idp.role.revoke | user | high | users groups
CREATE.REALM_SCOPE_MAPPING CREATE.CLIENT_SCOPE_MAPPING | idp.app_scope.grant | app | high | clients client-scopes
DELETE.REALM_SCOPE_MAPPING DELETE.CLIENT_SCOPE_MAPPING | idp.app_scope.revoke | app | high | clients client-scopes
CREATE.REALM_ROLE CREATE.CLIENT_ROLE | idp.role.create | role | high | roles roles-by-id
UPDATE.REALM_ROLE UPDATE.CLIENT_ROLE | idp.role.update | role | critical | roles roles-by-id
DELETE.REALM_ROLE DELETE.CLIENT_ROLE | idp.role.delete | role | high | roles roles-by-id
CREATE.REALM_ROLE.composites CREATE.CLIENT_ROLE.composites | idp.role.update | role | critical | roles roles-by-id
DELETE.REALM_ROLE.composites DELETE.CLIENT_ROLE.composites | idp.role.update | role | critical | roles roles-by-id
CREATE.GROUP_MEMBERSHIP | idp.group.member_add | group | high | groups
DELETE.GROUP_MEMBERSHIP | idp.group.member_remove | group | moderate | groups
CREATE.GROUP CREATE.GROUP.children | idp.group.create | group | moderate | groups
UPDATE.GROUP | idp.group.update | group | moderate | groups
DELETE.GROUP | idp.group.delete | group | high | groups
CREATE.GROUP.default-groups UPDATE.GROUP.default-groups | idp.group.default_add | group | high | default-groups
DELETE.GROUP.default-groups | idp.group.default_remove | group | moderate | default-groups
CREATE.ORGANIZATION_MEMBERSHIP | idp.org.member_add | organization | high | organizations
DELETE.ORGANIZATION_MEMBERSHIP | idp.org.member_remove | organization | moderate | organizations

# People, their passwords, factors and sessions
CREATE.USER | idp.user.create | user | moderate | users
UPDATE.USER | idp.user.update | user | moderate | users
DELETE.USER | idp.user.delete | user | high | users
ACTION.USER.reset-password UPDATE.USER.reset-password | idp.password.reset | user | high | users
ACTION.USER.execute-actions-email ACTION.USER.reset-password-email | idp.user.require_action | user | high | users
ACTION.USER.send-verify-email | idp.user.email_verify_send | user | low | users
ACTION.USER.credentials DELETE.USER.credentials | idp.factor.remove | user | high | users
ACTION.USER.disable-credential-types UPDATE.USER.disable-credential-types | idp.factor.reset | user | high | users
ACTION.USER.impersonation | idp.impersonation.start | user | critical | users
ACTION.USER.logout | idp.session.revoke | user | moderate | users
ACTION.USER.consents DELETE.USER.consents | idp.consent.revoke | user | moderate | users
CREATE.USER.federated-identity | idp.user.link | user | critical | users
DELETE.USER.federated-identity | idp.user.unlink | user | high | users
DELETE.USER_LOGIN_FAILURE | idp.user.unlock | user | moderate | users
DELETE.USER_SESSION | idp.session.revoke | session | moderate | sessions
ACTION.REALM.logout-all | idp.session.revoke_all | realm | high |

# Applications
CREATE.CLIENT | idp.app.create | app | moderate | clients
UPDATE.CLIENT | idp.app.update | app | high | clients
DELETE.CLIENT | idp.app.delete | app | high | clients
CREATE.PROTOCOL_MAPPER UPDATE.PROTOCOL_MAPPER DELETE.PROTOCOL_MAPPER | idp.app.update | app | high |
    clients
    client-scopes
ACTION.CLIENT.client-secret ACTION.CLIENT.registration-access-token | idp.app.credential_add | app | high | clients
UPDATE.CLIENT.registration-access-token | idp.app.credential_add | app | high | clients
ACTION.CLIENT.certificates/generate ACTION.CLIENT.certificates/upload | idp.app.credential_add | app | high |
    clients
ACTION.CLIENT.certificates/upload-certificate | idp.app.credential_add | app | high | clients
ACTION.CLIENT.certificates/generate-and-download | idp.app.credential_add | app | high | clients
CREATE.CLIENT_INITIAL_ACCESS_MODEL | idp.api_token.create | api_token | high | clients-initial-access
DELETE.CLIENT_INITIAL_ACCESS_MODEL | idp.api_token.revoke | api_token | moderate | clients-initial-access

# The rules of proving
CREATE.REALM | idp.realm.create | realm | critical |
UPDATE.REALM | idp.realm.update | realm | critical |
DELETE.REALM | idp.realm.delete | realm | critical |
CREATE.AUTH_FLOW | idp.policy.create | policy | critical | flows
UPDATE.AUTH_FLOW | idp.policy.update | policy | critical | flows
DELETE.AUTH_FLOW | idp.policy.delete | policy | critical | flows
CREATE.AUTH_EXECUTION CREATE.AUTH_EXECUTION_FLOW | idp.policy.rule_create | policy_rule | critical | executions flows
UPDATE.AUTH_EXECUTION UPDATE.AUTH_EXECUTION_FLOW | idp.policy.rule_update | policy_rule | critical | executions flows
DELETE.AUTH_EXECUTION DELETE.AUTH_EXECUTION_FLOW | idp.policy.rule_delete | policy_rule | critical | executions flows
CREATE.AUTHENTICATOR_CONFIG UPDATE.AUTHENTICATOR_CONFIG | idp.policy.rule_update | policy_rule | critical |
    executions
    config
DELETE.AUTHENTICATOR_CONFIG | idp.policy.rule_update | policy_rule | critical | executions config
CREATE.REQUIRED_ACTION UPDATE.REQUIRED_ACTION | idp.policy.update | required_action | critical | required-actions
DELETE.REQUIRED_ACTION | idp.policy.update | required_action | critical | required-actions
CREATE.IDENTITY_PROVIDER | idp.federation.create | identity_provider | critical | instances
UPDATE.IDENTITY_PROVIDER | idp.federation.update | identity_provider | critical | instances
DELETE.IDENTITY_PROVIDER | idp.federation.delete | identity_provider | critical | instances
CREATE.IDENTITY_PROVIDER_MAPPER | idp.federation.update | identity_provider | critical | instances
UPDATE.IDENTITY_PROVIDER_MAPPER | idp.federation.update | identity_provider | critical | instances
DELETE.IDENTITY_PROVIDER_MAPPER | idp.federation.update | identity_provider | critical | instances
CREATE.COMPONENT | idp.component.create | component | critical | components
UPDATE.COMPONENT | idp.component.update | component | critical | components
DELETE.COMPONENT | idp.component.delete | component | critical | components

# The logs that would show it
UPDATE.REALM.events/config | audit.log.update | event_log | critical |
DELETE.REALM.events DELETE.REALM.admin-events | audit.log.delete | event_log | critical |
""")

_WITH_PARTS: Final = ("USER", "GROUP", "CLIENT", "REALM_ROLE", "CLIENT_ROLE")
_COLLECTIONS: Final = ("users", "groups", "clients", "roles", "roles-by-id")
_ORDINARY: Final = ("USER", "GROUP", "GROUP_MEMBERSHIP", "CLUSTER_NODE")


def part_of(kind: str, path: list[str]) -> str:
    """What of the object an admin event is about: the words of its path without the ids.

    Args:
        kind: `OPERATION.RESOURCE_TYPE`.
        path: the words of `resourcePath`, ids among them.

    Returns:
        `credentials` of `users/7/credentials/9`, `credentials/userLabel` of `users/7/credentials/9/userLabel`;
        "" where it is about the whole object.
    """
    thing = kind.partition(".")[2]
    if thing == "REALM":
        return "/".join(path)
    if thing not in _WITH_PARTS:
        return ""
    if path[0] not in _COLLECTIONS:
        return path[0]
    part = "/".join(path[2::2])
    return part.removeprefix("roles").strip("/") if thing == "CLIENT_ROLE" else part


@lru_cache(maxsize=4096)
def deed_of(kind: str, part: str, admin: bool) -> Deed | None:
    """What an event is: from the tables, or derived; None where nothing is left of its name.

    Args:
        kind: as `Row.kind`.
        part: as of `part_of`; "" for a user event.
        admin: an admin event.

    Returns:
        For an event that no table has: `idp.` and its words, sensitivity moderate for user events and for
        people and groups, high for what else administrators do.
    """
    if not admin:
        known = USER_ACTIONS.get(kind)
        return known or (Deed(f"idp.{word}.event", "", MODERATE) if (word := plain_word(kind)) else None)
    if known := ADMIN_ACTIONS.get(f"{kind}.{part}" if part else kind):
        return known
    operation, _, thing = kind.partition(".")
    # A part of an object that is updated is an update of it; one that is deleted is no deletion of it.
    if operation == "UPDATE" and (known := ADMIN_ACTIONS.get(kind)):
        return known
    words = [plain_word(part), "" if operation == "ACTION" and part else plain_word(operation)]
    verb = "_".join(word for word in words if word)
    noun = plain_word(thing)
    if not noun or not verb:
        return None
    return Deed(f"idp.{noun}.{verb}", noun, MODERATE if thing in _ORDINARY else HIGH, _COLLECTIONS)
