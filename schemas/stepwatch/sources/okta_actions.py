"""Okta System Log event types that are actions, by the scheme of `actions.py`.

The last column lists the target types that may name the resource, most telling first. An event type that is
not here gets a derived name, `idp.` and the event type, and a sensitivity by its first words (`derive`).
"""

from __future__ import annotations

from typing import Final

from stepwatch.sources.actions import HIGH, MODERATE, Deed, parse_table, plain_word

ACTIONS: Final[dict[str, Deed]] = parse_table("""
# Roles and groups
user.account.privilege.grant | idp.role.grant | user | critical | User
user.account.privilege.revoke | idp.role.revoke | user | high | User
group.privilege.grant | idp.role.grant | group | critical | UserGroup
group.privilege.revoke | idp.role.revoke | group | high | UserGroup
iam.resourceset.bindings.add | idp.role.grant | resource_set | critical | RESOURCE_SET ResourceSet
iam.resourceset.bindings.delete | idp.role.revoke | resource_set | high | RESOURCE_SET ResourceSet
iam.role.create | idp.role.create | role | high | ROLE CustomRole
iam.role.update | idp.role.update | role | critical | ROLE CustomRole
iam.role.delete | idp.role.delete | role | high | ROLE CustomRole
iam.role.permissions.add iam.role.permissions.delete | idp.role.update | role | critical | ROLE CustomRole
iam.role.permission.conditions.add | idp.role.update | role | critical | ROLE CustomRole
iam.role.permission.conditions.delete | idp.role.update | role | critical | ROLE CustomRole
workflows.user.role.user.add | idp.role.grant | user | critical | User
workflows.user.role.user.remove | idp.role.revoke | user | high | User
workflows.user.role.group.add | idp.role.grant | group | critical | UserGroup
workflows.user.role.group.remove | idp.role.revoke | group | high | UserGroup
group.user_membership.add | idp.group.member_add | group | high | UserGroup
group.user_membership.remove | idp.group.member_remove | group | moderate | UserGroup
group.lifecycle.create | idp.group.create | group | moderate | UserGroup
group.lifecycle.delete | idp.group.delete | group | high | UserGroup
group.profile.update | idp.group.update | group | moderate | UserGroup
app.oauth2.client.privilege.grant | idp.role.grant | app | critical | PublicClientApp AppInstance
app.oauth2.client.privilege.revoke | idp.role.revoke | app | high | PublicClientApp AppInstance

# Factors and passwords
user.mfa.factor.activate | idp.factor.enroll | user | high | User
user.mfa.factor.deactivate | idp.factor.remove | user | high | User
user.mfa.factor.reset_all | idp.factor.reset | user | high | User
user.mfa.factor.suspend | idp.factor.suspend | user | high | User
user.mfa.factor.unsuspend | idp.factor.resume | user | high | User
user.mfa.factor.update | idp.factor.update | user | high | User
user.account.reset_password | idp.password.reset | user | high | User
user.account.update_password | idp.password.change | user | moderate | User
user.account.expire_password | idp.password.expire | user | moderate | User
user.lifecycle.password_mass_expiry | idp.password.expire | - | high |
user.account.unlock | idp.user.unlock | user | moderate | User
user.account.unlock_by_admin | idp.user.unlock | user | moderate | User
user.account.update_primary_email | idp.user.email_change | user | high | User
user.account.update_secondary_email | idp.user.email_change | user | high | User
user.account.update_profile | idp.user.update | user | moderate | User
user.account.report_suspicious_activity_by_enduser | idp.user.report_activity | user | low | User

# People
user.lifecycle.create | idp.user.create | user | moderate | User
user.lifecycle.activate | idp.user.activate | user | moderate | User
user.lifecycle.reactivate | idp.user.activate | user | moderate | User
user.lifecycle.deactivate | idp.user.deactivate | user | high | User
user.lifecycle.suspend | idp.user.suspend | user | moderate | User
user.lifecycle.unsuspend | idp.user.resume | user | moderate | User
user.lifecycle.delete.initiated | idp.user.delete | user | high | User

# Sessions, impersonation, the way into applications
user.session.clear | idp.session.revoke | user | moderate | User
user.authentication.universal_logout | idp.session.revoke | user | moderate | User
user.session.impersonation.grant | idp.impersonation.grant | user | critical | User
user.session.impersonation.initiate | idp.impersonation.start | user | critical | User
user.session.impersonation.extend | idp.impersonation.extend | user | critical | User
user.session.impersonation.end | idp.impersonation.end | user | low | User
user.session.impersonation.revoke | idp.impersonation.revoke | user | low | User
user.session.access_admin_app | idp.admin_console.open | app | moderate | AppInstance PublicClientApp
user.authentication.sso | idp.app.open | app | low | AppInstance PublicClientApp

# Applications
application.lifecycle.create | idp.app.create | app | moderate | AppInstance PublicClientApp
application.lifecycle.update | idp.app.update | app | high | AppInstance PublicClientApp
application.lifecycle.delete | idp.app.delete | app | high | AppInstance PublicClientApp
application.lifecycle.activate | idp.app.activate | app | moderate | AppInstance PublicClientApp
application.lifecycle.deactivate | idp.app.deactivate | app | high | AppInstance PublicClientApp
application.user_membership.add | idp.app.assign | app | moderate | AppInstance PublicClientApp
application.user_membership.remove | idp.app.unassign | app | low | AppInstance PublicClientApp
application.user_membership.show_password | idp.app_password.reveal | app | high | AppInstance PublicClientApp
group.application_assignment.add | idp.app.assign | app | moderate | AppInstance PublicClientApp
group.application_assignment.remove | idp.app.unassign | app | low | AppInstance PublicClientApp
app.oauth2.client.lifecycle.create | idp.app.create | app | moderate | PublicClientApp AppInstance
app.oauth2.client.lifecycle.update | idp.app.update | app | high | PublicClientApp AppInstance
app.oauth2.client.lifecycle.delete | idp.app.delete | app | high | PublicClientApp AppInstance
app.oauth2.client.lifecycle.activate | idp.app.activate | app | moderate | PublicClientApp AppInstance
app.oauth2.client.lifecycle.deactivate | idp.app.deactivate | app | high | PublicClientApp AppInstance
app.oauth2.credentials.lifecycle.create | idp.app.credential_add | app | critical | PublicClientApp AppInstance
app.oauth2.credentials.lifecycle.activate | idp.app.credential_add | app | critical | PublicClientApp AppInstance
app.oauth2.client.read_client_secret | secrets.secret.read | app | high | PublicClientApp AppInstance
app.access_request.request | idp.access_request.create | app | low | AppInstance
app.access_request.approver.approve | idp.access_request.approve | app | high | AppInstance
app.access_request.approver.deny app.access_request.deny | idp.access_request.refuse | app | low | AppInstance
app.access_request.grant | idp.access_request.grant | app | moderate | AppInstance
app.access_request.delete | idp.access_request.delete | app | low | AppInstance
access.request.create | idp.access_request.create | - | low |
access.request.reject | idp.access_request.refuse | - | low |
access.request.cancel | idp.access_request.delete | - | low |
access.request.resolve | idp.access_request.resolve | - | moderate |
access.request.condition.create access.request.condition.update | idp.policy.rule_update | - | critical |
access.request.condition.activate access.request.condition.deactivate | idp.policy.rule_update | - | critical |
access.request.condition.delete | idp.policy.rule_delete | - | critical |
access.request.sequence.create access.request.sequence.update | idp.policy.rule_update | - | critical |
access.request.sequence.delete access.request.settings.update | idp.policy.rule_update | - | critical |
app.oauth2.as.consent.grant | idp.consent.grant | app | moderate | AppInstance PublicClientApp
app.oauth2.admin.consent.grant | idp.consent.grant | app | high | AppInstance PublicClientApp

# The rules of proving
policy.lifecycle.create | idp.policy.create | policy | critical | PolicyEntity Policy
policy.lifecycle.update | idp.policy.update | policy | critical | PolicyEntity Policy
policy.lifecycle.delete | idp.policy.delete | policy | critical | PolicyEntity Policy
policy.lifecycle.activate | idp.policy.activate | policy | critical | PolicyEntity Policy
policy.lifecycle.deactivate | idp.policy.deactivate | policy | critical | PolicyEntity Policy
policy.lifecycle.overwrite | idp.policy.update | policy | critical | PolicyEntity Policy
policy.rule.add | idp.policy.rule_create | policy_rule | critical | PolicyRule Rule PolicyEntity
policy.rule.update | idp.policy.rule_update | policy_rule | critical | PolicyRule Rule PolicyEntity
policy.rule.delete | idp.policy.rule_delete | policy_rule | critical | PolicyRule Rule PolicyEntity
policy.rule.activate | idp.policy.rule_activate | policy_rule | critical | PolicyRule Rule PolicyEntity
policy.rule.deactivate | idp.policy.rule_deactivate | policy_rule | critical | PolicyRule Rule PolicyEntity
application.policy.sign_on.update | idp.policy.update | policy | critical | PolicyEntity Policy
application.policy.sign_on.rule.create | idp.policy.rule_create | policy_rule | critical |
    PolicyRule
    Rule
    PolicyEntity
application.policy.sign_on.rule.delete | idp.policy.rule_delete | policy_rule | critical |
    PolicyRule
    Rule
    PolicyEntity
system.mfa.factor.activate | idp.authenticator.activate | authenticator | high |
system.mfa.factor.deactivate | idp.authenticator.deactivate | authenticator | critical |
security.authenticator.lifecycle.create | idp.authenticator.create | authenticator | critical | Authenticator
security.authenticator.lifecycle.update | idp.authenticator.update | authenticator | critical | Authenticator
security.authenticator.lifecycle.delete | idp.authenticator.delete | authenticator | critical | Authenticator
security.authenticator.lifecycle.activate | idp.authenticator.activate | authenticator | critical |
    Authenticator
security.authenticator.lifecycle.deactivate | idp.authenticator.deactivate | authenticator | critical |
    Authenticator
system.idp.key.create system.idp.key.update | idp.federation.update | identity_provider | critical |
    IdentityProvider
    IdP
system.idp.key.delete | idp.federation.update | identity_provider | critical | IdentityProvider IdP
system.idp.lifecycle.read_client_secret | idp.federation.secret_read | identity_provider | high | IdentityProvider IdP
system.idp.lifecycle.create | idp.federation.create | identity_provider | critical | IdentityProvider IdP
system.idp.lifecycle.update | idp.federation.update | identity_provider | critical | IdentityProvider IdP
system.idp.lifecycle.delete | idp.federation.delete | identity_provider | critical | IdentityProvider IdP
system.idp.lifecycle.activate | idp.federation.activate | identity_provider | critical | IdentityProvider IdP
system.idp.lifecycle.deactivate | idp.federation.deactivate | identity_provider | critical |
    IdentityProvider
    IdP
security.threat.configuration.update | idp.threat_detection.update | - | critical |
zone.create | idp.trusted_network.create | network_zone | high | NetworkZone Zone
zone.update | idp.trusted_network.update | network_zone | high | NetworkZone Zone
zone.delete | idp.trusted_network.delete | network_zone | high | NetworkZone Zone
zone.activate | idp.trusted_network.activate | network_zone | high | NetworkZone Zone
zone.deactivate | idp.trusted_network.deactivate | network_zone | high | NetworkZone Zone
security.trusted_origin.create | idp.trusted_origin.create | trusted_origin | high | TrustedOrigin
security.trusted_origin.update | idp.trusted_origin.update | trusted_origin | high | TrustedOrigin
security.trusted_origin.delete | idp.trusted_origin.delete | trusted_origin | high | TrustedOrigin
security.trusted_origin.activate | idp.trusted_origin.activate | trusted_origin | high | TrustedOrigin
security.trusted_origin.deactivate | idp.trusted_origin.deactivate | trusted_origin | high | TrustedOrigin
system.email.template.create system.email.template.update | idp.email_template.update | - | high |
system.email.template.delete system.email.template.settings_changed | idp.email_template.update | - | high |

# Keys and logs of the organisation
system.api_token.create | idp.api_token.create | api_token | critical | Token
system.api_token.update | idp.api_token.update | api_token | high | Token
system.api_token.revoke | idp.api_token.revoke | api_token | moderate | Token
system.log_stream.lifecycle.create | audit.log.create | log_stream | moderate | LogStream
system.log_stream.lifecycle.activate | audit.log.start | log_stream | moderate | LogStream
system.log_stream.lifecycle.update | audit.log.update | log_stream | critical | LogStream
system.log_stream.lifecycle.deactivate | audit.log.stop | log_stream | critical | LogStream
system.log_stream.lifecycle.delete | audit.log.delete | log_stream | critical | LogStream
""")

_GUARDED: Final = (
    *("policy.", "security.", "iam.", "system.", "zone.", "oauth2.", "event_hook.", "inline_hook."),
    *("app.oauth2.", "user.mfa.", "user.account.privilege", "group.privilege"),
)


def derive(event_type: str) -> Deed | None:
    """A name for an event type that the table does not have; None where nothing is left of it."""
    words = [word for word in map(plain_word, event_type.split(".")) if word]
    if not words:
        return None
    return Deed(".".join(["idp", *words]), "", HIGH if event_type.startswith(_GUARDED) else MODERATE)
