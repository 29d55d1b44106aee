"""What whoever is called does first, by the kind of the alert; agents/README.md says it at length."""

from __future__ import annotations

from typing import Final

FIRST: Final = {
    "unverified_action": "See which proof is missing and by how much; ask the person by another way than the one "
    "that acted.",
    "blind": "See why nobody can say; while it lasts, watch what the subject does.",
    "mfa_fatigue": "Call the person, not by the phone that is prompted; change the password that raises the prompts.",
    "mfa_fatigue_success": "End all sessions of the person, then call.",
    "otp_guessing": "Lock the credential, and see where the tries come from.",
    "replayed_code": "Lock the credential, and end the sessions of the second proof.",
    "denied_then_acted": "Treat it as an intrusion: end the sessions, then call.",
    "self_approval": "Have it undone or approved by another; the owner of the control decides.",
    "fresh_credential": "Ask the person whether they added the key; if not, remove it, and undo what it proved.",
    "policy_gap": "By day: write a policy, or correct the sensitivity of the resource.",
    "source_silence": "Call the owner of the source; until it is back, actions that need it are blind.",
}
