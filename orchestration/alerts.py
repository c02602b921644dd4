"""Alerts: a held batch, a failed run or a light is told on WeCom, DingTalk, Feishu, Slack or by e-mail.

Nothing is sent before a channel is configured, in the environment and nowhere else:

    QUANYU_ALERT_WECOM      address of the group robot's webhook
    QUANYU_ALERT_DINGTALK   the same; with QUANYU_ALERT_DINGTALK_SECRET the call is signed
    QUANYU_ALERT_FEISHU     the same; with QUANYU_ALERT_FEISHU_SECRET the call is signed
    QUANYU_ALERT_SLACK      address of the incoming webhook
    QUANYU_ALERT_EMAIL      receivers, separated by commas; with
    QUANYU_ALERT_SMTP       smtp://user:password@host:port (STARTTLS where it is offered), or smtps://
    QUANYU_ALERT_SENDER     sender of the e-mail; default: the user of QUANYU_ALERT_SMTP

What is told is chosen by the seed `alert_rules`. An alert never fails a run: what could not be delivered is said.
Formats: WeCom https://developer.work.weixin.qq.com/document/path/91770, DingTalk
https://open.dingtalk.com/document/robots/custom-robot-access, Feishu
https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot, Slack https://api.slack.com/messaging/webhooks.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import hmac
import json
import smtplib
import ssl
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus, unquote, urlsplit

import requests

from orchestration.hold import Hold
from orchestration.report.content import entity_names
from orchestration.report.words import day, failure_in_words, held_in_words, masked, texts
from orchestration.warehouse import PROJECT

CHANNELS = ("wecom", "dingtalk", "feishu", "slack", "email")
RULES = PROJECT / "seeds" / "alert_rules.csv"
# Digests of the last message that each channel took, so that running again does not tell it again.
LEDGER = "alerts.json"
TIMEOUT_SECONDS = 10
# WeCom refuses a text of more than 2,048 bytes; the others take more.
MAX_BYTES = 2048
REASONS_TOLD = 10
LOOPBACK = ("127.0.0.1", "::1", "localhost")


class DeliveryError(RuntimeError):
    """A channel did not take the message; the text says why, without the address, which is a secret."""


@dataclass(frozen=True)
class Event:
    """Something to tell. `letter` and `light` are those of a light, else `*`."""

    event: str
    brand_id: str
    text: str
    letter: str = "*"
    light: str = "*"


def read_rules(path: Path = RULES) -> list[dict[str, str]]:
    """The rows of the seed alert_rules."""
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def configured(environ: Mapping[str, str]) -> list[str]:
    """The channels that the environment configures."""
    return [name for name in CHANNELS if environ.get(f"QUANYU_ALERT_{name.upper()}")]


def channels_of(event: Event, rules: Iterable[Mapping[str, str]]) -> set[str]:
    """Channels on which an event is told; `*` is every channel."""
    chosen: set[str] = set()
    for rule in rules:
        if (
            rule["is_on"].strip().lower() == "true"
            and rule["event"] == event.event
            and rule["brand_id"] in ("*", event.brand_id)
            and rule["letter"] in ("*", event.letter)
            and rule["light"] in ("*", event.light)
        ):
            chosen |= set(rule["channels"].split())
    return set(CHANNELS) if "*" in chosen else chosen & set(CHANNELS)


def event_of_hold(hold: Hold, language: str) -> Event:
    """Why a day was not published, in the words of the report."""
    said = texts(language)
    names = entity_names(language)
    title = said["hold_title"].format(day=day(hold.day, language))
    lines = [f"{said['title']} · {title}", said[f"hold_{hold.kind}"]]
    for batch in hold.batches:
        prefix = f"{batch['entity']} batch {batch['batch']}: "
        sentences = [line.removeprefix(prefix) for line in batch["reasons"].splitlines()]
        reasons = [held_in_words(line, language) for line in sentences]
        name = names.get(batch["entity"], batch["entity"])
        lines.append(masked(f"{name} {batch['batch']}: {' '.join(dict.fromkeys(reasons))}"))
    lines += [masked(failure_in_words(failure, language)) for failure in hold.failures]
    if not hold.batches and not hold.failures:
        lines += [masked(hold.message)] if hold.message else []
    kind = "held_batch" if hold.kind == "batches" else "failed_run"
    return Event(kind, "*", "\n".join(lines[: 2 + REASONS_TOLD]))


def events_of_lights(contents: Iterable[Mapping[str, Any]]) -> list[Event]:
    """The red and amber lights of the reports of a day (report.content)."""
    events = []
    for content in contents:
        for letter in content["fast"]:
            if letter["light"] in ("red", "amber"):
                events.append(
                    Event(
                        *("light", content["brand"], light_in_words(content, letter)),
                        letter=letter["letter"],
                        light=letter["light"],
                    )
                )
    return events


def light_in_words(content: Mapping[str, Any], letter: Mapping[str, Any]) -> str:
    """A light of a report as a message: whose figure it is and how it stands, why, what moved it most, what to do."""
    said = texts(content["language"])
    head = (
        f"{content['brand']} {day(content['as_of'], content['language'])} · {said['light_' + letter['light']]} ·"
        f" {letter['letter']} {letter['name']} {letter['value_text']}"
        f" ({said['against_week']} {letter['change_text']})"
    )
    lines = [head, letter["reason"]]
    if letter["drivers"]:
        most = letter["drivers"][0]
        title = said["drivers_points" if letter["is_rate"] else "drivers"]
        lines.append(f"{title}{said['colon']}{most['text']} {most['by_text']}")
    if letter["action"]:
        lines.append(f"{said['suggestion']}{said['colon']}{letter['action']}")
    return "\n".join(lines)


def messages(
    events: Iterable[Event], rules: Sequence[Mapping[str, str]], channels: Iterable[str]
) -> dict[str, str]:
    """The text for each channel that has something to be told."""
    lines: dict[str, list[str]] = {channel: [] for channel in channels}
    for event in events:
        for channel in channels_of(event, rules) & set(lines):
            lines[channel].append(event.text)
    return {channel: "\n".join(texts) for channel, texts in lines.items() if texts}


def alert(
    workspace: Path,
    events: Sequence[Event],
    environ: Mapping[str, str],
    *,
    rules: Sequence[Mapping[str, str]] | None = None,
    clock: Callable[[], float] = time.time,
) -> list[str]:
    """Tell events on the configured channels; a line on each channel that was tried.

    A channel is not told the same text twice in a row. A delivery that fails is said, tried again by the next run,
    and raises nothing.
    """
    channels = configured(environ)
    if not channels:
        return []
    ledger = workspace / LEDGER
    told = json.loads(ledger.read_text(encoding="utf-8")) if ledger.exists() else {}
    due = messages(events, read_rules() if rules is None else rules, channels)
    # Nothing to tell: the trouble is over, and when it comes back it is told again.
    told = {channel: digest for channel, digest in told.items() if channel in due}
    lines = []
    for channel, text in due.items():
        digest = hashlib.sha256(text.encode()).hexdigest()
        if told.get(channel) == digest:
            continue
        try:
            deliver(channel, shortened(text, MAX_BYTES), environ, clock)
        except DeliveryError as error:
            told.pop(channel, None)
            lines.append(f"alert      {channel}: NOT delivered, {error}")
        else:
            told[channel] = digest
            lines.append(f"alert      {channel}: delivered")
    workspace.mkdir(parents=True, exist_ok=True)
    ledger.write_text(json.dumps(told), encoding="utf-8")
    return lines


def shortened(text: str, limit: int) -> str:
    """The text in at most `limit` bytes of UTF-8, cut between characters and marked."""
    if len(text.encode()) <= limit:
        return text
    return text.encode()[: limit - len("…".encode())].decode(errors="ignore") + "…"


def deliver(
    channel: str, text: str, environ: Mapping[str, str], clock: Callable[[], float] = time.time
) -> None:
    """Send a text on one channel. Raises DeliveryError when it was not taken."""
    address = environ[f"QUANYU_ALERT_{channel.upper()}"]
    secret = environ.get(f"QUANYU_ALERT_{channel.upper()}_SECRET")
    if channel == "email":
        return _mail(text, address, environ)
    if channel == "wecom":
        body = {"msgtype": "text", "text": {"content": text}}
    elif channel == "dingtalk":
        body = {"msgtype": "text", "text": {"content": text}}
        if secret:
            now = str(round(clock() * 1000))
            address += f"&timestamp={now}&sign={quote_plus(dingtalk_sign(now, secret))}"
    elif channel == "feishu":
        body = {"msg_type": "text", "content": {"text": text}}
        if secret:
            now = str(int(clock()))
            body = {"timestamp": now, "sign": feishu_sign(now, secret)} | body
    else:
        body = {"text": text}
    return _post(address, body)


def dingtalk_sign(milliseconds: str, secret: str) -> str:
    """Base64 of HMAC-SHA256 of `<milliseconds>\\n<secret>` under the secret."""
    code = hmac.new(secret.encode(), f"{milliseconds}\n{secret}".encode(), hashlib.sha256)
    return base64.b64encode(code.digest()).decode()


def feishu_sign(seconds: str, secret: str) -> str:
    """Base64 of HMAC-SHA256 of nothing under `<seconds>\\n<secret>`."""
    code = hmac.new(f"{seconds}\n{secret}".encode(), b"", hashlib.sha256)
    return base64.b64encode(code.digest()).decode()


def refusal(status: int, text: str) -> str | None:
    """Why a webhook did not take a message; None when it did. The robots answer 200 and say it in the body."""
    if status != 200:
        return f"the server answers {status}"
    try:
        answer = json.loads(text)
    except ValueError:
        return None if text.strip() == "ok" else "the answer is not understood"
    code = answer.get("errcode", answer.get("code", answer.get("StatusCode", 0)))
    return (
        f"the server says {code}: {answer.get('errmsg', answer.get('msg', ''))}" if code else None
    )


def _post(address: str, body: Mapping[str, Any]) -> None:
    try:
        answer = requests.post(address, json=body, timeout=TIMEOUT_SECONDS, allow_redirects=False)
    except requests.RequestException as error:
        # The text of the error holds the address, which is a secret.
        raise DeliveryError(type(error).__name__) from None
    if why := refusal(answer.status_code, answer.text):
        raise DeliveryError(why)


def _mail(text: str, receivers: str, environ: Mapping[str, str]) -> None:
    server = urlsplit(environ.get("QUANYU_ALERT_SMTP", ""))
    if server.scheme not in ("smtp", "smtps") or not server.hostname:
        raise DeliveryError("QUANYU_ALERT_SMTP must be smtp://user:password@host:port or smtps://…")
    user = unquote(server.username or "")
    message = EmailMessage()
    message["Subject"] = text.splitlines()[0][:120]
    message["From"] = environ.get("QUANYU_ALERT_SENDER") or user or "quanyu@localhost"
    message["To"] = receivers
    message.set_content(text)
    context = ssl.create_default_context()
    try:
        if server.scheme == "smtps":
            connection = smtplib.SMTP_SSL(
                server.hostname, server.port or 465, timeout=TIMEOUT_SECONDS, context=context
            )
        else:
            connection = smtplib.SMTP(server.hostname, server.port or 587, timeout=TIMEOUT_SECONDS)
        with connection:
            connection.ehlo()
            if server.scheme == "smtp" and connection.has_extn("starttls"):
                connection.starttls(context=context)
            elif server.scheme == "smtp" and user and server.hostname not in LOOPBACK:
                raise DeliveryError("the server offers no STARTTLS: the password stays here")
            if user:
                connection.login(user, unquote(server.password or ""))
            connection.send_message(message)
    except (OSError, smtplib.SMTPException) as error:
        raise DeliveryError(type(error).__name__) from None
