"""Entra ID audit activities that are actions, by the scheme of `actions.py`.

A name is the activity in plain words (`plain_word`: the product writes dashes, dots and spaces now so, now
so). The last column lists the target types that may name the resource, most telling first; `@self` is who did
it. An activity that is not here gets a derived name, `idp.noun.verb` (`deed_of`).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from stepwatch.sources.actions import HIGH, LOW, MODERATE, Deed, parse_table, plain_word

ACTIONS: Final[dict[str, Deed]] = parse_table("""
# Roles
add_member_to_role add_eligible_member_to_role add_scoped_member_to_role
    add_member_to_role_scoped_over_restricted_management_administrative_unit
    add_member_to_role_in_pim_completed_permanent add_member_to_role_in_pim_completed_timebound
    add_member_to_role_in_pim_completed_time_bound add_member_to_role_outside_of_pim_permanent
    add_eligible_member_to_role_in_pim_completed_permanent add_eligible_member_to_role_in_pim_completed_timebound
    add_eligible_member_to_role_in_pim_completed_time_bound
    restore_member_from_role restore_member_from_role_in_pim_completed
    restore_eligible_member_from_role_in_pim_completed restore_permanent_direct_role_assignment
    restore_permanent_eligible_role_assignment update_member_in_pim_approved_by_admin_extend_renew |
    idp.role.grant | user | critical | User ServicePrincipal Group
add_role_assignment_to_role_definition add_eligibleroleassignment_to_roledefinition |
    idp.role.grant | user | critical | User ServicePrincipal Group
add_member_to_role_completed_pim_activation elevate | idp.role.activate | role | critical | Role Group
remove_member_from_role_completed_pim_deactivate | idp.role.deactivate | role | low | Role Group
remove_member_from_role remove_eligible_member_from_role remove_scoped_member_from_role
    remove_member_from_role_scoped_over_restricted_management_administrative_unit
    remove_member_from_role_in_pim_completed_permanent remove_member_from_role_in_pim_completed_timebound
    remove_eligible_member_from_role_in_pim_completed_permanent
    remove_eligible_member_from_role_in_pim_completed_timebound
    remove_permanent_direct_role_assignment remove_permanent_eligible_role_assignment
    remove_role_assignment_from_role_definition remove_eligibleroleassignment_from_roledefinition
    remove_role_assignment delete_role_assignment |
    idp.role.revoke | user | high | User ServicePrincipal Group
user_has_elevated_their_access_to_user_access_administrator_for_their_azure_resources |
    iam.access.elevate | user | critical | @self
the_role_assignment_of_user_access_administrator_has_been_removed_from_the_user |
    idp.role.revoke | user | high | User
add_role_definition add_role_from_template | idp.role.create | role | high | Role RoleDefinition Other
update_role_definition update_role | idp.role.update | role | critical | Role RoleDefinition Other
delete_role_definition | idp.role.delete | role | high | Role RoleDefinition Other
update_role_setting_in_pim role_setting_changes | idp.role_policy.update | role | critical | Role
pim_policy_removed | idp.role_policy.delete | role | critical | Role
disable_pim_alert deactivate_pim_alert | audit.alert.disable | alert | high |
add_member_to_role_request_approved_pim_activation activationapproved |
    idp.role_request.approve | role | high | Role Group
add_member_to_role_request_denied_pim_activation activationdenied | idp.role_request.refuse | role | low | Role Group

# Groups
add_group | idp.group.create | group | moderate | Group
delete_group hard_delete_group | idp.group.delete | group | high | Group
add_member_to_group | idp.group.member_add | group | high | Group
remove_member_from_group | idp.group.member_remove | group | moderate | Group
add_owner_to_group | idp.group.owner_add | group | high | Group
update_group | idp.group.update | group | moderate | Group

# Factors and passwords
user_registered_security_info admin_registered_security_info security_info_saved_for_self_service_password_reset
    add_fido2_security_key add_passkey_device_bound add_passkey_device_bound_security_key add_passkey
    add_windows_hello_for_business_credential add_passwordless_phone_sign_in_credential add_platform_credential
    add_users_strong_authentication_phone_app_detail assign_hardware_oath_token register_totp_secret |
    idp.factor.enroll | user | high | User
user_deleted_security_info admin_deleted_security_info delete_fido2_security_key delete_passkey_device_bound
    delete_passkey_device_bound_security_key delete_passkey delete_windows_hello_for_business_credential
    delete_passwordless_phone_sign_in_credential delete_platform_credential
    remove_users_strong_authentication_phone_app_detail |
    idp.factor.remove | user | high | User
user_updated_security_info admin_updated_security_info user_changed_default_security_info
    set_user_oath_token_metadata_enabled set_users_oath_token_metadata_enabled
    patch_userauthmethod_patchsigninpreferencesasync |
    idp.factor.update | user | high | User
delete_all_available_strong_authentication_devices admin_required_re_registration_of_mfa_authentication_methods |
    idp.factor.reset | user | high | User
disable_strong_authentication | idp.mfa.disable | user | critical | User
enable_strong_authentication | idp.mfa.enable | user | moderate | User
update_per_user_multifactor_authentication_state | idp.mfa.update | user | critical | User
post_tenant_createbypasseduser | idp.mfa.bypass_add | user | critical | User
create_application_password_for_user | idp.app_password.create | user | high | User
delete_application_password_for_user | idp.app_password.delete | user | low | User
reset_user_password reset_password reset_password_by_admin reset_password_self_service user_password_reset
    admin_generates_a_temporary_password |
    idp.password.reset | user | high | User
change_user_password change_password_self_service | idp.password.change | user | moderate | User
set_force_change_user_password admins_requires_the_user_to_reset_their_password |
    idp.password.expire | user | moderate | User
unlock_user_account_self_service | idp.user.unlock | user | moderate | User
fraud_reported_no_action_taken fraud_reported_user_is_blocked_for_mfa suspicious_activity_reported |
    idp.user.report_activity | user | low | User

# People and their sessions
add_user | idp.user.create | user | moderate | User
update_user | idp.user.update | user | moderate | User
delete_user hard_delete_user delete_external_user | idp.user.delete | user | high | User
restore_user | idp.user.activate | user | moderate | User
disable_account | idp.user.suspend | user | moderate | User
enable_account | idp.user.resume | user | moderate | User
convert_federated_user_to_managed | idp.user.convert | user | high | User
invite_external_user invite_external_user_with_reset_invitation_status invite_internal_user_to_b2b_collaboration |
    idp.user.invite | user | moderate | User
redeem_external_user_invite redeem_extern_user_invite | idp.user.join | user | low | User
update_stsrefreshtokenvalidfrom_timestamp | idp.session.revoke | user | moderate | User
dismissuser confirmsafe dismissserviceprincipal | idp.risk.dismiss | user | high | User ServicePrincipal
confirmcompromised confirmaccountcompromised confirmserviceprincipalcompromised |
    idp.risk.confirm | user | moderate | User ServicePrincipal

# Applications, their keys and their rights
add_application add_service_principal | idp.app.create | app | moderate | Application ServicePrincipal
update_application update_service_principal | idp.app.update | app | high | Application ServicePrincipal
delete_application remove_service_principal hard_delete_application hard_delete_service_principal |
    idp.app.delete | app | high | Application ServicePrincipal
update_application_certificates_and_secrets_management update_external_secrets |
    idp.app.credential_update | app | critical | Application ServicePrincipal
add_service_principal_credentials | idp.app.credential_add | app | critical | ServicePrincipal Application
remove_service_principal_credentials remove_policy_credentials |
    idp.app.credential_remove | app | moderate | ServicePrincipal Application
add_owner_to_application add_owner_to_service_principal |
    idp.app.owner_add | app | high | Application ServicePrincipal
remove_owner_from_application remove_owner_from_service_principal |
    idp.app.owner_remove | app | moderate | Application ServicePrincipal
consent_to_application add_delegated_permission_grant grant_contextual_consent_to_application restore_consent |
    idp.consent.grant | app | high | ServicePrincipal Application
remove_delegated_permission_grant delete_consent | idp.consent.revoke | app | low | ServicePrincipal Application
add_app_role_assignment_to_service_principal | idp.app_role.grant | app | critical | ServicePrincipal
remove_app_role_assignment_from_service_principal | idp.app_role.revoke | app | moderate | ServicePrincipal
add_app_role_assignment_grant_to_user add_app_role_assignment_to_group |
    idp.app.assign | app | moderate | ServicePrincipal Application
remove_app_role_assignment_from_user remove_app_role_assignment_from_group |
    idp.app.unassign | app | low | ServicePrincipal Application

# The rules of proving
add_conditional_access_policy add_policy added_policy authentication_strength_policy_create
    add_authenticationcontextclassreference add_permission_grant_policy |
    idp.policy.create | policy | critical | Policy AuthenticationContext Other
update_conditional_access_policy update_policy authentication_strength_policy_update update_security_defaults
    authentication_strength_combination_configuration_create authentication_strength_combination_configuration_update
    authentication_strength_combination_configuration_delete
    update_authenticationcontextclassreference update_permission_grant_policy update_authorization_policy
    authentication_methods_policy_update update_authentication_methods_policy authentication_methods_policy_reset
    update_continuous_access_evaluation mfa_service_policy_update set_password_policy
    set_device_registration_policies add_policy_to_application add_policy_to_service_principal
    remove_policy_from_application remove_policy_from_service_principal add_owner_to_policy |
    idp.policy.update | policy | critical | Policy AuthenticationContext Other
delete_conditional_access_policy delete_policy authentication_strength_policy_delete
    delete_authenticationcontextclassreference delete_permission_grant_policy |
    idp.policy.delete | policy | critical | Policy AuthenticationContext Other
add_named_location | idp.trusted_network.create | network_zone | high | Policy NamedLocation Other
update_named_location | idp.trusted_network.update | network_zone | high | Policy NamedLocation Other
delete_named_location | idp.trusted_network.delete | network_zone | high | Policy NamedLocation Other
add_certificationbasedauthconfiguration delete_certificationbasedauthconfiguration
    enable_passthrough_authentication disable_passthrough_authentication enable_desktop_sso disable_desktop_sso
    enable_desktop_sso_for_a_specific_domain disable_desktop_sso_for_a_specific_domain |
    idp.authenticator.update | authenticator | critical |

# Federation, domains, the directory
set_federation_settings_on_domain set_domain_authentication update_identity_provider |
    idp.federation.update | identity_provider | critical | Domain Directory Other
create_identity_provider create_custom_identity_provider |
    idp.federation.create | identity_provider | critical | Other
delete_identity_provider | idp.federation.delete | identity_provider | critical | Other
add_a_partner_to_cross_tenant_access_setting update_a_partner_cross_tenant_access_setting
    update_the_company_default_cross_tenant_access_setting delete_partner_specific_cross_tenant_access_setting
    reset_the_cross_tenant_access_default_setting create_a_partner_cross_tenant_identity_sync_setting
    update_a_partner_cross_tenant_identity_sync_setting add_partner_to_company |
    idp.cross_tenant.update | tenant | critical | Policy Directory Other
add_unverified_domain add_verified_domain verify_domain update_domain |
    idp.domain.update | domain | high | Domain Directory Other
remove_unverified_domain remove_verified_domain | idp.domain.delete | domain | high | Domain Directory Other
set_dirsyncenabled_flag set_dirsync_feature | idp.directory_sync.update | directory | high | Directory
register_device add_device | idp.device.register | device | moderate | Device
add_registered_owner_to_device add_registered_users_to_device | idp.device.owner_add | device | moderate | Device
reveal_local_administrator_password | secrets.password.read | device | high | Device
read_bitlocker_key | secrets.disk_key.read | device | high | Device
""")

REQUESTS: Final = frozenset(
    plain_word(name)
    for name in (
        *("Add member to role requested (PIM activation)", "Add member to role approval requested (PIM activation)"),
        *("ActivationRequested", "ActivationCanceled", "ActivationAborted"),
        *("Remove member from role requested (PIM deactivate)", "Process request", "Cancel request"),
        *("User started security info registration", "User cancelled security info registration"),
        *("User started password change", "User started password reset", "Admin started password reset"),
        *("Self-service password reset flow activity progress", "User registered all required security info"),
    )
)
"""Steps on the way to a deed that has its own row."""
NOTICES: Final = frozenset(
    plain_word(name)
    for name in (
        *("Remove member from role (PIM activation expired)", "PIM activation request expired", "Triggered PIM alert"),
        *("Refresh PIM alert", "User reviewed security info", "Email not sent, user unsubscribed"),
        *("Blocked from self-service password reset", "Device no longer compliant", "Device no longer managed"),
    )
)
"""What the product tells of itself."""

_VERBS: Final = frozenset(
    {
        *("add", "create", "update", "delete", "remove", "set", "get", "list", "read", "enable", "disable", "assign"),
        *("restore", "register", "unregister", "approve", "deny", "cancel", "export", "import", "upload", "generate"),
        *("rotate", "revoke", "reveal", "invite", "retrieve", "reset", "verify", "move", "publish", "accept"),
    }
)
_READS: Final = frozenset({"get", "list", "retrieve", "read"})
_GUARDED: Final = (
    *("policy", "role", "application", "authorization", "certificate", "federat", "directorymanagement", "key"),
    *("crosstenant", "permission", "authentication", "identityprotection"),
)
"""Categories (any that holds such a word) whose every change touches who may do what, or how it is proved."""


def is_request(name: str) -> bool:
    """Whether an activity only asks for a deed, or takes the wish back."""
    return name in REQUESTS or "_in_pim_requested" in name or "_in_pim_canceled" in name or "canceled_pim" in name


@lru_cache(maxsize=4096)
def deed_of(name: str, category: str) -> Deed | None:
    """What an activity is: from the table, or derived; None where nothing is left of its name.

    Args:
        name: the activity in plain words.
        category: the category of its record, lower case.

    Returns:
        For an activity that the table does not have, sensitivity low for reads, high in the categories that
        hold rights and rules, moderate for all else.
    """
    if (known := ACTIONS.get(name)) is not None or not name:
        return known
    verb, _, noun = name.partition("_")
    action = f"idp.{noun}.{verb}" if noun and verb in _VERBS else f"idp.{name}"
    guarded = any(word in category for word in _GUARDED)
    return Deed(action, "", LOW if verb in _READS else HIGH if guarded else MODERATE)
