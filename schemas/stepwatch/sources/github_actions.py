"""GitHub audit log events that are actions, by the scheme of `actions.py`.

The last column lists the fields that may name the resource, the first that names one counts. An event that
is not here gets a derived name, `github.` and the event, and a sensitivity by its category (`derive`).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from stepwatch.sources.actions import HIGH, LOW, MODERATE, Deed, parse_table, plain_word

ACTIONS: Final[dict[str, Deed]] = parse_table("""
# Members, roles and teams
org.update_member | idp.role.grant | user | critical | user
business.add_admin user.promote | idp.role.grant | user | critical | user
business.remove_admin user.demote | idp.role.revoke | user | high | user
org.add_billing_manager business.add_billing_manager | idp.role.grant | user | high | user
org.remove_billing_manager business.remove_billing_manager | idp.role.revoke | user | moderate | user
org.invite_member business.invite_admin | idp.user.invite | user | high | user
org.add_member | idp.org.member_add | user | high | user
org.remove_member | idp.org.member_remove | user | moderate | user
org.block_user | idp.user.block | user | moderate | blocked_user user
org.unblock_user | idp.user.unblock | user | moderate | blocked_user user
org.update_default_repository_permission | code.repository.default_permission_update | organization | critical | org
team.create | idp.group.create | team | moderate | team
team.destroy | idp.group.delete | team | high | team
team.add_member | idp.group.member_add | team | high | team
team.remove_member | idp.group.member_remove | team | moderate | team
team.promote_maintainer | idp.group.owner_add | team | high | team
team.demote_maintainer | idp.group.owner_remove | team | moderate | team
team.change_parent_team team.change_privacy team.rename | idp.group.update | team | moderate | team
user.create | idp.user.create | user | moderate | user
user.delete user.destroy user.async_delete | idp.user.delete | user | high | user
user.suspend | idp.user.suspend | user | moderate | user
user.unsuspend | idp.user.resume | user | moderate | user
user.add_email user.remove_email | idp.user.email_change | user | high | user
user.change_password | idp.password.change | user | moderate | user
user.reset_password | idp.password.reset | user | high | user
staff.fake_login staff.fake_user | idp.impersonation.start | user | critical | user
staff.exit_fake_login | idp.impersonation.end | user | low | user

# Factors, and the rules of proving
two_factor_authentication.enabled two_factor_authentication.add_factor | idp.factor.enroll | user | high | user
two_factor_authentication.disabled two_factor_authentication.remove_factor | idp.factor.remove | user | high | user
two_factor_authentication.update_fallback | idp.factor.update | user | high | user
security_key.register passkey.register trusted_device.register | idp.factor.enroll | user | high | user
security_key.remove passkey.remove trusted_device.remove | idp.factor.remove | user | high | user
two_factor_authentication.recovery_codes_regenerated | idp.recovery_code.create | user | high | user
user.two_factor_recovery_codes_viewed | idp.recovery_code.read | user | high | user
user.two_factor_recovery_codes_downloaded | idp.recovery_code.read | user | high | user
user.two_factor_recovery_codes_printed | idp.recovery_code.read | user | high | user
org.disable_two_factor_requirement org.enable_two_factor_requirement | idp.policy.update | organization | critical | org
business.disable_two_factor_requirement | idp.policy.update | enterprise | critical | business
business.enable_two_factor_requirement | idp.policy.update | enterprise | critical | business
org.disable_saml org.saml_disabled | idp.federation.deactivate | organization | critical | org
org.enable_saml org.saml_enabled | idp.federation.activate | organization | critical | org
org.update_saml_provider_settings | idp.federation.update | organization | critical | org
business.disable_saml business.disable_oidc | idp.federation.deactivate | enterprise | critical | business
business.enable_saml business.enable_oidc | idp.federation.activate | enterprise | critical | business
business.update_saml_provider_settings | idp.federation.update | enterprise | critical | business
org.revoke_external_identity | idp.user.unlink | user | high | user
org.revoke_sso_session business.revoke_sso_session | idp.session.revoke | user | moderate | user
ip_allow_list.enable | idp.trusted_network.activate | ip_allow_list | high | org business
ip_allow_list.disable | idp.trusted_network.deactivate | ip_allow_list | critical | org business
ip_allow_list_entry.create | idp.trusted_network.create | ip_allow_list | high | org business
ip_allow_list_entry.update | idp.trusted_network.update | ip_allow_list | high | org business
ip_allow_list_entry.destroy | idp.trusted_network.delete | ip_allow_list | high | org business

# Keys, tokens and applications
public_key.create git_signing_ssh_public_key.create | iam.ssh_key.create | ssh_key | high | fingerprint
public_key.delete git_signing_ssh_public_key.delete | iam.ssh_key.delete | ssh_key | moderate | fingerprint
public_key.update public_key.verify public_key.unverify | iam.ssh_key.update | ssh_key | high | fingerprint
public_key.verification_failure public_key.unverification_failure | iam.ssh_key.update | ssh_key | high | fingerprint
personal_access_token.create | idp.api_token.create | user | high | user
personal_access_token.credential_regenerated | idp.api_token.create | user | high | user
personal_access_token.update | idp.api_token.update | user | high | user
personal_access_token.request_created | idp.api_token.request | user | moderate | user
personal_access_token.request_cancelled | idp.api_token.request_cancel | user | low | user
personal_access_token.access_granted | idp.api_token.approve | user | high | user
personal_access_token.request_denied | idp.api_token.refuse | user | low | user
personal_access_token.access_revoked | idp.api_token.revoke | user | moderate | user
personal_access_token.destroy personal_access_token.credential_revoked | idp.api_token.revoke | user | moderate | user
org_credential_authorization.grant | idp.api_token.authorize | user | high | user
org_credential_authorization.revoke | idp.api_token.revoke | user | moderate | user
org_credential_authorization.deauthorize | idp.api_token.revoke | user | moderate | user
oauth_access.create oauth_access.regenerate | idp.api_token.create | user | moderate | user
oauth_access.update | idp.api_token.update | user | moderate | user
oauth_access.destroy | idp.api_token.revoke | user | low | user
oauth_authorization.create | idp.consent.grant | app | high | oauth_application_name oauth_application_id
oauth_authorization.destroy | idp.consent.revoke | app | low | oauth_application_name oauth_application_id
org.oauth_app_access_approved | idp.consent.grant | app | high | oauth_application_name oauth_application_id
org.oauth_app_access_denied | idp.consent.refuse | app | low | oauth_application_name oauth_application_id
org.oauth_app_access_requested | idp.consent.request | app | low | oauth_application_name oauth_application_id
org.disable_oauth_app_restrictions | idp.consent_policy.disable | organization | critical | org
org.enable_oauth_app_restrictions | idp.consent_policy.enable | organization | high | org
integration_installation.create | idp.consent.grant | app | high | integration name
integration_installation.version_updated | idp.consent.grant | app | high | integration name
integration_installation.repositories_added | idp.consent.grant | app | high | integration name
integration_installation.repositories_removed | idp.consent.revoke | app | low | integration name
integration_installation.destroy | idp.consent.revoke | app | moderate | integration name
integration.create | idp.app.create | app | moderate | integration name
integration.destroy | idp.app.delete | app | high | integration name
integration.transfer | idp.app.transfer | app | critical | integration name
integration.manager_added | idp.app.owner_add | app | high | integration name
integration.manager_removed | idp.app.owner_remove | app | moderate | integration name
integration.generate_client_secret | idp.app.credential_add | app | high | integration name
integration.remove_client_secret | idp.app.credential_remove | app | moderate | integration name
oauth_application.create | idp.app.create | app | moderate | oauth_application name
oauth_application.destroy | idp.app.delete | app | high | oauth_application name
oauth_application.transfer | idp.app.transfer | app | critical | oauth_application name
oauth_application.generate_client_secret | idp.app.credential_add | app | high | oauth_application name
oauth_application.reset_secret | idp.app.credential_add | app | high | oauth_application name
oauth_application.remove_client_secret | idp.app.credential_remove | app | moderate | oauth_application name

# Repositories
repo.create | code.repository.create | repository | moderate | repo repository
repo.access | code.repository.visibility_update | repository | critical | repo repository
repo.destroy | code.repository.delete | repository | high | repo repository
repo.transfer repo.transfer_start repo.transfer_outgoing | code.repository.transfer | repository | critical |
    repo
    repository
repo.archived | code.repository.archive | repository | moderate | repo repository
repo.unarchived | code.repository.restore | repository | moderate | repo repository
repo.rename | code.repository.rename | repository | moderate | repo repository
repo.update_default_branch | code.repository.default_branch_update | repository | high | repo repository
repo.add_member org.add_outside_collaborator | code.repository.member_add | repository | high | repo repository
repo.update_member | code.repository.member_update | repository | high | repo repository
repo.remove_member | code.repository.member_remove | repository | moderate | repo repository
org.remove_outside_collaborator | code.repository.member_remove | repository | moderate | repo repository
repository_invitation.create | code.repository.member_invite | repository | high | repo repository
team.add_repository | code.repository.team_add | repository | high | repo repository
team.update_repository_permission | code.repository.team_update | repository | high | repo repository
team.remove_repository | code.repository.team_remove | repository | moderate | repo repository
repo.staff_unlock staff.repo_unlock staff.unlock | code.repository.unlock | repository | critical | repo repository
repo.temporary_access_granted | code.repository.unlock | repository | high | repo repository
repo.download_zip | code.repository.read | repository | low | repo repository
git.clone git.fetch | code.repository.read | repository | low | repo repository
git.push | code.repository.write | repository | moderate | repo repository
protected_branch.rejected_ref_update | code.repository.write | repository | moderate | repo repository
pull_request.merge | code.pull_request.merge | repository | moderate | repo repository
hook.create | code.webhook.create | webhook | high | hook_id
hook.config_changed hook.events_changed hook.active_changed | code.webhook.update | webhook | high | hook_id
hook.destroy | code.webhook.delete | webhook | moderate | hook_id
org.delete business.delete | code.organization.delete | organization | critical | org
migration.create | code.repository.export | organization | critical | org

# What protects them
protected_branch.create | code.branch_protection.create | repository | moderate | repo repository
protected_branch.destroy | code.branch_protection.delete | repository | critical | repo repository
protected_branch.policy_override | code.branch_protection.override | repository | critical | repo repository
repository_ruleset.create | code.ruleset.create | ruleset | moderate | ruleset_id
repository_ruleset.update | code.ruleset.update | ruleset | high | ruleset_id
repository_ruleset.destroy | code.ruleset.delete | ruleset | critical | ruleset_id
secret_scanning_push_protection.bypass | code.push_protection.override | repository | high | repo repository
repository_secret_scanning_push_protection.disable | audit.detector.disable | repository | high | repo repository
secret_scanning_push_protection.disable | audit.detector.disable | organization | high | org
repository_secret_scanning.disable | audit.detector.disable | repository | high | repo repository
secret_scanning.disable secret_scanning_new_repos.disable | audit.detector.disable | organization | high | org
dependabot_alerts.disable dependabot_alerts_new_repos.disable | audit.detector.disable | organization | high | org
dependabot_security_updates.disable | audit.detector.disable | organization | high | org
dependabot_security_updates_new_repos.disable | audit.detector.disable | organization | high | org
dependency_graph.disable dependency_graph_new_repos.disable | audit.detector.disable | organization | high | org
repository_vulnerability_alerts.disable | audit.detector.disable | repository | high | repo repository
repo.advanced_security_disabled | audit.detector.disable | repository | high | repo repository
org.advanced_security_disabled_for_new_repos | audit.detector.disable | organization | high | org
org.advanced_security_disabled_on_all_repos | audit.detector.disable | organization | high | org
business_advanced_security.disabled | audit.detector.disable | enterprise | high | business
business_advanced_security.disabled_for_new_repos | audit.detector.disable | enterprise | high | business
business_advanced_security.enabled | audit.detector.enable | enterprise | low | business
secret_scanning_alert.resolve | audit.finding.update | repository | high | repo repository
repository_vulnerability_alert.dismiss | audit.finding.update | repository | high | repo repository
code_scanning.alert_closed_by_user | audit.finding.update | repository | high | repo repository

# What is built and run from them
repo.register_self_hosted_runner | code.runner.create | repository | critical | repo repository
org.register_self_hosted_runner | code.runner.create | organization | critical | org
business.register_self_hosted_runner | code.runner.create | enterprise | critical | business
enterprise.register_self_hosted_runner | code.runner.create | enterprise | critical | business
repo.remove_self_hosted_runner | code.runner.delete | repository | moderate | repo repository
org.remove_self_hosted_runner | code.runner.delete | organization | moderate | org
business.remove_self_hosted_runner | code.runner.delete | enterprise | moderate | business
enterprise.remove_self_hosted_runner | code.runner.delete | enterprise | moderate | business
org.runner_group_created org.runner_group_updated | code.runner_group.update | organization | high | org
org.runner_group_visibility_updated | code.runner_group.update | organization | high | org
org.runner_group_runners_added | code.runner_group.update | organization | high | org
repo.create_actions_secret environment.create_actions_secret | secrets.secret.create | repository | high |
    repo
    repository
repo.update_actions_secret environment.update_actions_secret | secrets.secret.update | repository | high |
    repo
    repository
repo.remove_actions_secret environment.remove_actions_secret | secrets.secret.delete | repository | high |
    repo
    repository
org.create_actions_secret | secrets.secret.create | organization | high | org
org.update_actions_secret | secrets.secret.update | organization | high | org
org.remove_actions_secret | secrets.secret.delete | organization | high | org
repo.update_actions_settings repo.set_default_workflow_permissions | code.workflow_policy.update | repository | high |
    repo
    repository
repo.set_workflow_permission_can_approve_pr | code.workflow_policy.update | repository | high | repo repository
repo.set_fork_pr_workflows_policy | code.workflow_policy.update | repository | high | repo repository
repo.set_actions_fork_pr_approvals_policy | code.workflow_policy.update | repository | high | repo repository
org.update_actions_settings | code.workflow_policy.update | organization | high | org
org.set_default_workflow_permissions | code.workflow_policy.update | organization | high | org
org.set_workflow_permission_can_approve_pr | code.workflow_policy.update | organization | high | org
org.set_fork_pr_workflows_policy | code.workflow_policy.update | organization | high | org
org.set_actions_fork_pr_approvals_policy | code.workflow_policy.update | organization | high | org
business.set_default_workflow_permissions | code.workflow_policy.update | enterprise | high | business
business.set_workflow_permission_can_approve_pr | code.workflow_policy.update | enterprise | high | business
environment.add_protection_rule | code.environment_protection.create | repository | moderate | repo repository
environment.update_protection_rule | code.environment_protection.update | repository | high | repo repository
environment.remove_protection_rule | code.environment_protection.delete | repository | critical | repo repository
workflows.created_workflow_run | code.workflow.run | repository | low | repo repository
workflows.rerun_workflow_run | code.workflow.run | repository | low | repo repository
workflows.approve_workflow_job | code.deployment.approve | repository | high | repo repository
workflows.reject_workflow_job | code.deployment.refuse | repository | low | repo repository
workflows.bypass_protection_rules | code.environment_protection.override | repository | critical | repo repository
workflows.delete_workflow_run checks.delete_logs | code.workflow_run.delete | repository | high | repo repository
workflows.disable_workflow | code.workflow.disable | repository | moderate | repo repository
workflows.enable_workflow | code.workflow.enable | repository | moderate | repo repository

# The log itself
audit_log_streaming.create | audit.log.create | log_stream | moderate | business
audit_log_streaming.update | audit.log.update | log_stream | critical | business
audit_log_streaming.destroy | audit.log.delete | log_stream | critical | business
audit_log_streaming.check | audit.log.check | log_stream | low | business
org.audit_log_export org.audit_log_git_event_export | audit.log.export | organization | moderate | org
business.audit_log_export business.audit_log_git_event_export | audit.log.export | enterprise | moderate | business
""")

_PROTECTION: Final = Deed("code.branch_protection.update", "repository", HIGH, ("repo", "repository"))
_GUARDED: Final = (
    *("org.", "business", "enterprise.", "staff.", "repository_ruleset.", "ip_allow_list"),
    *("personal_access_token.", "org_credential_authorization.", "two_factor_authentication.", "security_key."),
    *("external_identity.", "external_group.", "enterprise_", "audit_log_streaming.", "environment."),
    *("secret_scanning", "repository_secret_scanning", "repo.set_", "repo.config."),
)
_CHATTER: Final = (
    *("issue", "pull_request", "project", "discussion", "commit_comment", "milestone", "profile_picture."),
    *("user_status.", "sponsors.", "organization_default_label.", "marketplace_", "checks.", "artifact."),
    *("actions_cache.", "packages.", "api.", "codespaces.", "copilot.", "repo.add_topic", "repo.remove_topic"),
)


@lru_cache(maxsize=4096)
def derive(event: str) -> Deed | None:
    """A name for an event that the table does not have; None where nothing is left of it.

    Returns:
        Every `protected_branch.` event is an update of the protection. Of the others, sensitivity high for what
        governs an organisation, its protections or its ways in, low for the daily talk of a project, moderate
        for all else.
    """
    if event.startswith("protected_branch."):
        return _PROTECTION
    words = [word for word in map(plain_word, event.split(".")) if word]
    if not words:
        return None
    sensitivity = MODERATE
    if event.startswith(_CHATTER):
        sensitivity = LOW
    # To switch a protection off is a risk, to switch one on is none.
    elif event.startswith(_GUARDED) and not event.endswith(".enable"):
        sensitivity = HIGH
    return Deed(".".join(["github", *words]), "", sensitivity)
