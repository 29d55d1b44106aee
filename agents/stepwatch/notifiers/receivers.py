"""The channels of the routing file -> receivers: what each type is told, and where its secrets lie."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from stepwatch.notifiers import pagerduty, slack
from stepwatch.notifiers.addresses import is_public
from stepwatch.notifiers.alertmanager import Alertmanager
from stepwatch.notifiers.console import ConsoleReceiver
from stepwatch.notifiers.delivery import Receiver
from stepwatch.notifiers.fit import web_address
from stepwatch.notifiers.http import HttpSender
from stepwatch.notifiers.pagerduty import PagerDuty
from stepwatch.notifiers.people import People
from stepwatch.notifiers.secret import ReceiverWrong, Secret
from stepwatch.notifiers.slack import SlackBot, SlackWebhook
from stepwatch.notifiers.teams import Teams
from stepwatch.notifiers.webhook import KEYS_MAX, WebhookReceiver

__all__ = ["ChannelConfig", "ReceiverWrong", "build_receiver", "split_channel"]


class _Config(BaseModel):
    """What every channel has. Secrets are named by file only, so there is none to be shown."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$", description="How routes call it.")


class _HttpConfig(_Config):
    """How a receiver is reached by HTTP."""

    allow_private: bool = Field(
        default=False, description="Whether addresses that are not public, and http, may be used."
    )
    ca_file: Path | None = Field(
        default=None, description="PEM of the authorities of its certificate; none: the system's."
    )
    proxy: str | None = Field(
        default=None,
        description="HTTP proxy to go through, which then resolves names; none: none, whatever the environment says.",
    )

    @field_validator("proxy")
    @classmethod
    def _proxy_is_an_address(cls, value: str | None) -> str | None:
        if value is not None:
            _address_of(value, "http://proxy:3128")
        return value


class PagerDutyConfig(_HttpConfig):
    type: Literal["pagerduty"]
    routing_key_file: Path = Field(description="File of the integration key of a service (Events API v2).")
    url: str = Field(default=pagerduty.EVENTS_URL, description="Of the Events API; Europe: events.eu.pagerduty.com.")


class AlertmanagerConfig(_HttpConfig):
    type: Literal["alertmanager"]
    allow_private: bool = Field(default=True, description="An Alertmanager is seldom public.")
    url: str = Field(description="Without /api/v2. Each of a cluster is a channel of its own.")
    bearer_file: Path | None = Field(default=None, description="File of a bearer token.")
    user: str = Field(default="", description="User of basic authentication.")
    password_file: Path | None = Field(default=None, description="File of that user's password.")

    @model_validator(mode="after")
    def _one_way_to_log_in(self) -> Self:
        if bool(self.user) != (self.password_file is not None):
            raise ValueError("expected user and password_file together, got one of them")
        if self.bearer_file is not None and self.password_file is not None:
            raise ValueError("expected bearer_file, or user and password_file; got both")
        return self


class SlackConfig(_HttpConfig):
    type: Literal["slack"]
    url_file: Path | None = Field(default=None, description="File of an incoming webhook's address; or else")
    token_file: Path | None = Field(default=None, description="file of a bot's token, with")
    channel: str = Field(default="", description="the id of the channel: then one message is edited.")
    api_url: str = Field(default=slack.API_URL, description="Of Slack's API.")

    @model_validator(mode="after")
    def _webhook_or_bot(self) -> Self:
        if (self.url_file is None) == (self.token_file is None):
            raise ValueError("expected either url_file, or token_file and channel")
        if (self.token_file is not None) != bool(self.channel):
            raise ValueError("expected token_file and channel together, got one of them")
        return self


class TeamsConfig(_HttpConfig):
    type: Literal["teams"]
    url_file: Path = Field(description="File of the address of a workflow's webhook.")


class AppriseConfig(_Config):
    type: Literal["apprise"]
    url_file: Path = Field(description="File of an address as apprise writes it: mailtos://user:password@host?to=...")


class WebhookConfig(_HttpConfig):
    type: Literal["webhook"]
    url: str = Field(default="", description="Where to; or else")
    url_file: Path | None = Field(default=None, description="the file of an address that is a secret.")
    key_files: tuple[Path, ...] = Field(
        min_length=1, max_length=KEYS_MAX, description="Files of the keys that sign (whsec_...): the new one first."
    )

    @model_validator(mode="after")
    def _one_address(self) -> Self:
        if bool(self.url) == (self.url_file is not None):
            raise ValueError("expected either url or url_file")
        return self


class ConsoleConfig(_Config):
    type: Literal["console"]


_Configs = (
    PagerDutyConfig | AlertmanagerConfig | SlackConfig | TeamsConfig | AppriseConfig | WebhookConfig | ConsoleConfig
)
ChannelConfig = Annotated[_Configs, Field(discriminator="type")]
"""One channel of the routing file, as far as its receiver is concerned; a key that it does not know is refused."""


def split_channel(channel: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The keys of a channel that are its receiver's, and the rest, which are for others to know or to refuse."""
    known = {
        field
        for config in get_args(_Configs)
        if channel.get("type") in get_args(config.model_fields["type"].annotation)
        for field in config.model_fields
    } or {"name", "type"}
    mine = {key: value for key, value in channel.items() if key in known}
    return mine, {key: value for key, value in channel.items() if key not in known}


def build_receiver(config: _Configs) -> Receiver:
    """The receiver of a channel. Its secrets are read once now, so that a missing file is found before an alert.

    Raises:
        ReceiverWrong: a file is missing or holds no secret, an address is none or not allowed; the field is named.
    """
    match config:
        case PagerDutyConfig():
            _check_url("url", config.url, config.allow_private)
            return PagerDuty(
                config.name, Secret("routing_key_file", config.routing_key_file), _sender(config), config.url
            )
        case AlertmanagerConfig():
            return _alertmanager(config)
        case SlackConfig():
            return _slack(config)
        case TeamsConfig():
            return Teams(config.name, _SecretUrl(config.url_file, config.allow_private), _sender(config))
        case AppriseConfig():
            return People(config.name, Secret("url_file", config.url_file))
        case WebhookConfig():
            return _webhook(config)
        case ConsoleConfig():
            return ConsoleReceiver(config.name)


def _alertmanager(config: AlertmanagerConfig) -> Receiver:
    _check_url("url", config.url, config.allow_private)
    return Alertmanager(
        config.name,
        config.url,
        _sender(config),
        bearer=Secret("bearer_file", config.bearer_file) if config.bearer_file else None,
        user=config.user,
        password=Secret("password_file", config.password_file) if config.password_file else None,
    )


def _slack(config: SlackConfig) -> Receiver:
    if config.url_file is not None:
        return SlackWebhook(config.name, _SecretUrl(config.url_file, config.allow_private), _sender(config))
    assert config.token_file is not None, "the model asks for one of both"
    _check_url("api_url", config.api_url, config.allow_private)
    token = Secret("token_file", config.token_file)
    return SlackBot(config.name, token, config.channel, _sender(config), config.api_url)


def _webhook(config: WebhookConfig) -> Receiver:
    keys = [Secret("key_files", path) for path in config.key_files]
    if config.url_file is not None:
        address = _SecretUrl(config.url_file, config.allow_private).read
    else:
        _check_url("url", config.url, config.allow_private)
        address = partial(str, config.url)
    return WebhookReceiver(config.name, address, keys, _sender(config))


def _sender(config: _HttpConfig) -> HttpSender:
    try:
        return HttpSender(allow_private=config.allow_private, ca_file=config.ca_file, proxy=config.proxy)
    except ssl.SSLError as error:
        raise ReceiverWrong("ca_file", f"{config.ca_file}: expected certificates in PEM, got something else") from error
    except OSError as error:
        raise ReceiverWrong("ca_file", f"{config.ca_file}: {error.strerror}") from error


class _SecretUrl(Secret):
    """An address in a file. A rotated one is held to the same rules as the first."""

    def __init__(self, path: Path, allow_private: bool) -> None:
        self._shown, self._allow_private = str(path), allow_private
        super().__init__("url_file", path)

    def read(self) -> str:
        """The address; raises ReceiverWrong where it is none, or none that may be used."""
        url = super().read()
        _check_url("url_file", url, self._allow_private, shown=self._shown)
        return url


def _check_url(field: str, url: str, allow_private: bool, shown: str = "") -> None:
    """Refuse an address that cannot be sent to, or must not.

    Args:
        field: of the channel.
        url: the address; `shown` stands for it in messages where it is a secret.
        allow_private: whether http and addresses that are not public are allowed.
    """
    shown = shown or url
    try:
        host, scheme = _address_of(url, "https://host/path")
    except ValueError as error:
        raise ReceiverWrong(field, f"{shown}: {error}") from None
    if allow_private:
        return
    if scheme != "https":
        raise ReceiverWrong(field, f"{shown}: expected https; http only with allow_private: true")
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return
    if not is_public(host):
        raise ReceiverWrong(field, f"{shown}: expected a public address; others only with allow_private: true")


def _address_of(url: str, example: str) -> tuple[str, str]:
    """Host and scheme of an address without user and password.

    Raises:
        ValueError: it is none; the message does not repeat it.
    """
    parts = urlsplit(url) if web_address(url) else None
    if parts is None or not parts.hostname:
        raise ValueError(f"expected an address such as {example}")
    if "@" in parts.netloc:
        raise ValueError("expected no user or password in the address; secrets are read from files")
    try:
        parts.port  # noqa: B018 - raises ValueError where it is none
    except ValueError:
        # Its words hold what stands there, which may be a password.
        raise ValueError("expected a number from 0 to 65535 as the port, got something else") from None
    return parts.hostname, parts.scheme
