"""Duo administrator and activity events that are actions, by the scheme of `actions.py`.

The last column says whom or what it was done to: `object` is the row's `object` (administrator log) or
`target.name` (activity log), `self` whoever acts. An event that is not here gets a derived name, `duo.` and
the event, and a sensitivity by its first word (`derive`).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from stepwatch.sources.actions import HIGH, MODERATE, Deed, parse_table, plain_word

ACTIONS: Final[dict[str, Deed]] = parse_table("""
# Administrators
admin_create | idp.role.grant | admin | critical | object
admin_delete | idp.role.revoke | admin | high | object
admin_update | idp.admin.update | admin | high | object
admin_reset_password | idp.password.reset | admin | critical | object
admin_send_reset_password_email | idp.password.reset_send | admin | high | object
admin_self_activate | idp.user.activate | admin | moderate | object self
admin_activate_duo_push | idp.factor.enroll | admin | high | object self
admin_reactivates_duo_push admin_rectivates_duo_push | idp.factor.enroll | admin | high | object self
admin_unlock | idp.user.unlock | admin | high | object

# People
user_create | idp.user.create | user | moderate | object
user_import | idp.user.create | user | moderate | object
user_update | idp.user.update | user | moderate | object
user_delete user_pending_delete | idp.user.delete | user | high | object
user_restore | idp.user.activate | user | moderate | object
user_lockout_cleared | idp.user.unlock | user | moderate | object
group_create | idp.group.create | group | moderate | object
group_update | idp.group.update | group | high | object
group_delete | idp.group.delete | group | high | object

# What stands in for a factor
bypass_create | idp.recovery_code.create | user | critical | object
bypass_view | idp.recovery_code.read | user | critical | object
bypass_delete | idp.recovery_code.delete | user | moderate | object
deregister_devices | idp.remembered_device.delete | user | moderate | object

# Factors
phone_create phone_associate | idp.factor.enroll | phone | high | object
phone_update | idp.factor.update | phone | high | object
phone_delete phone_disassociate | idp.factor.remove | phone | high | object
phone_activation_code_regenerated | idp.factor.activation_create | phone | high | object
activation_create_link activation_send | idp.factor.activation_create | phone | high | object
phone_new_sms_passcode | idp.factor.code_send | phone | moderate | object
resend_enroll_codes user_bulk_enroll user_bulk_activate | idp.factor.activation_create | user | moderate | object
hardtoken_create | idp.factor.enroll | token | high | object
hardtoken_update hardtoken_resync | idp.factor.update | token | high | object
hardtoken_delete | idp.factor.remove | token | high | object
u2ftoken_create webauthncredential_create | idp.factor.enroll | key | high | object
webauthncredential_rename | idp.factor.update | key | moderate | object
u2ftoken_delete webauthncredential_delete | idp.factor.remove | key | high | object
o2fa_user_provisioned o2fa_user_reenrolled | idp.factor.enroll | user | high | self
o2fa_user_deprovisioned | idp.factor.remove | user | high | self

# Applications
integration_create | idp.app.create | app | moderate | object
integration_update | idp.app.update | app | high | object
integration_delete | idp.app.delete | app | high | object
integration_skey_view integration_skey_bulk_view | secrets.secret.read | app | critical | object

# The rules of proving
policy_create | idp.policy.create | policy | critical | object
policy_update | idp.policy.update | policy | critical | object
policy_delete | idp.policy.delete | policy | critical | object
integration_policy_assign integration_group_policy_add | idp.policy.assign | app | critical | object
integration_policy_unassign integration_group_policy_remove | idp.policy.unassign | app | critical | object
update_admin_factor_restrictions admin_factor_restrictions | idp.policy.update | policy | critical | object
customer_update | idp.settings.update | - | high | object
directory_create | idp.directory.create | directory | high | object
directory_update | idp.directory.update | directory | high | object
directory_delete | idp.directory.delete | directory | high | object
ad_sync_begin ad_sync_by_user_begin | idp.directory.sync | user | moderate | object
azure_sync_begin azure_sync_by_user_begin | idp.directory.sync | user | moderate | object
openldap_sync_begin openldap_sync_by_user_begin | idp.directory.sync | user | moderate | object

# The log itself
log_export_start | audit.log.export | - | moderate | object
""")

_GUARDED: Final = ("admin", "policy", "integration", "bypass", "sso", "user", "management", "directory")


@lru_cache(maxsize=4096)
def derive(event: str) -> Deed | None:
    """A name for an event that the table does not have; None where nothing is left of it."""
    words = plain_word(event)
    return Deed(f"duo.{words}", "", HIGH if words.startswith(_GUARDED) else MODERATE) if words else None
