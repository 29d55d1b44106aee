"""Which controls of which standards a report speaks to, and by which of its sections.

A report supports evidence for a control and never more: whether a control is met is its assessor's word, who also looks
at what no log shows.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Control(NamedTuple):
    """One control.

    Attributes:
        standard: with its version where numbers differ between versions.
        number: as the standard counts.
        about: what it is about, in our words.
        evidence: what the report supports evidence for, to follow those three words.
        sections: ids of the sections of the page that show it.
    """

    standard: str
    number: str
    about: str
    evidence: str
    sections: tuple[str, ...]


CONTROLS: Final = (
    Control(
        "SOC 2",
        "CC6.1",
        "logical access is restricted",
        "that high-risk actions needed a fresh proof and had one",
        ("verified", "people"),
    ),
    Control(
        "SOC 2",
        "CC6.3",
        "access is authorised and least",
        "that exemptions, approvals and acting for others are known by name",
        ("exceptions", "triggers"),
    ),
    Control(
        "SOC 2",
        "CC7.2",
        "anomalies are monitored",
        "that actions without a proof, silent feeds and patterns of attack raise alerts",
        ("alerts", "accounting"),
    ),
    Control(
        "SOC 2",
        "CC7.3",
        "security events are evaluated",
        "that each alert was answered, by whom it was resolved, and how soon it was there",
        ("alerts",),
    ),
    Control(
        "ISO/IEC 27001:2022",
        "A.8.5",
        "secure authentication",
        "which methods proved people, how fresh proofs were, and where step-up was missing",
        ("people", "verified"),
    ),
    Control(
        "ISO/IEC 27001:2022",
        "A.8.15",
        "logging",
        "that every action that was reported is on record with one verdict, and what could not be used",
        ("accounting",),
    ),
    Control(
        "PCI DSS 4.0",
        "8.4, 8.5",
        "multi-factor authentication, and that it resists replay and bypass",
        "which factors covered actions, codes accepted twice, bypassed step-ups",
        ("people", "exceptions"),
    ),
    Control(
        "PCI DSS 4.0",
        "10.2, 10.4",
        "audit logs are kept and reviewed",
        "who did what, when, verified how; and a sample for review by hand",
        ("sample", "accounting"),
    ),
    Control(
        "PCI DSS 4.0",
        "10.7",
        "failures of security controls are noticed",
        "when a feed was silent, for how long, and how soon that was said",
        ("verified", "alerts"),
    ),
    Control(
        "OWASP ASVS 5.0",
        "7.5",
        "re-authentication before sensitive changes and transactions",
        "which sensitive actions were preceded by a fresh proof and which were not",
        ("verified", "exceptions", "gaps"),
    ),
    Control(
        "NIST SP 800-63B",
        "reauthentication (7.2 in revision 3, 5.2 in revision 4)",
        "the age of an authentication when it is relied on",
        "the ages of proofs at the actions that they cover, against max_age in the policies",
        ("people", "policies"),
    ),
)
