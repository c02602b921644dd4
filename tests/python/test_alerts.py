"""Alerts: each channel is spoken to in its own format, nothing is told unasked, and nothing here fails a run."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socketserver
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from orchestration.alerts import (
    CHANNELS,
    DeliveryError,
    Event,
    alert,
    channels_of,
    configured,
    deliver,
    dingtalk_sign,
    event_of_hold,
    events_of_lights,
    feishu_sign,
    messages,
    read_rules,
    refusal,
    shortened,
)
from orchestration.hold import Hold
from orchestration.job import Settings, conclude, tell

SECRET = "SEC-planted"
NOW = 1_782_800_000.25
# A letter of FAST as far as a message reads it.
LETTER = {"letter": "F", "is_rate": False, "value_text": "1,080", "change_text": "−9 (−0.8%)"}
LETTER["drivers"] = [{"text": "离开 A 认知", "by_text": "−9"}]
RED = Event("light", "north", "north F 可运营人群", "F", "red")


@dataclass
class Robots:
    """A server that speaks as the four webhooks do and checks signatures as they say they do."""

    port: int = 0
    calls: list[tuple[str, dict, dict]] = field(default_factory=list)
    failing: bool = False

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}/{path}"

    def answer(self, path: str, query: dict, body: dict) -> tuple[int, str]:
        self.calls.append((path, query, body))
        if self.failing:
            return 500, "no"
        if path == "/wecom":
            good = body["msgtype"] == "text" and len(body["text"]["content"].encode()) <= 2048
            return 200, json.dumps({"errcode": 0 if good else 40008, "errmsg": "ok"})
        if path == "/dingtalk":
            stamp = query["timestamp"][0]
            wanted = hmac.digest(SECRET.encode(), f"{stamp}\n{SECRET}".encode(), "sha256")
            good = base64.b64decode(query["sign"][0]) == wanted and len(stamp) == 13
            return 200, json.dumps({"errcode": 0 if good else 310000, "errmsg": "sign not match"})
        if path == "/feishu":
            key = f"{body['timestamp']}\n{SECRET}".encode()
            wanted = hmac.digest(key, b"", "sha256")
            good = base64.b64decode(body["sign"]) == wanted and body["msg_type"] == "text"
            return 200, json.dumps({"code": 0 if good else 19021, "msg": "sign match fail"})
        return (200, "ok") if body["text"] else (400, "no_text")


@pytest.fixture
def robots():
    known = Robots()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            parts = urlsplit(self.path)
            status, text = known.answer(parts.path, parse_qs(parts.query), body)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        known.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield known
        server.shutdown()


@pytest.fixture
def mailbox():
    """An SMTP server of a few lines; what it was sent, and its port."""
    letters: list[str] = []

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            self.say("220 here")
            while line := self.rfile.readline().decode().strip():
                word = line.split()[0].upper()
                if word == "DATA":
                    self.say("354 go on")
                    lines = iter(lambda: self.rfile.readline().decode().rstrip("\r\n"), ".")
                    letters.append("\n".join(lines))
                    self.say("250 taken")
                elif word == "QUIT":
                    return self.say("221 bye")
                else:
                    self.say("250 ok")

        def say(self, text: str) -> None:
            self.wfile.write(f"{text}\r\n".encode())

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield letters, server.server_address[1]
        server.shutdown()


def everywhere(robots: Robots, smtp_port: int) -> dict[str, str]:
    found = {f"QUANYU_ALERT_{name.upper()}": robots.url(name) for name in CHANNELS[:4]}
    return found | {
        "QUANYU_ALERT_DINGTALK": robots.url("dingtalk?access_token=t"),
        "QUANYU_ALERT_DINGTALK_SECRET": SECRET,
        "QUANYU_ALERT_FEISHU_SECRET": SECRET,
        "QUANYU_ALERT_EMAIL": "a@example.com, b@example.com",
        "QUANYU_ALERT_SMTP": f"smtp://127.0.0.1:{smtp_port}",
    }


def test_every_channel_takes_the_message_in_its_own_format(robots, mailbox, tmp_path):
    letters, port = mailbox
    environ = everywhere(robots, port)
    lines = alert(tmp_path, [RED], environ, clock=lambda: NOW)
    assert lines == [f"alert      {name}: delivered" for name in CHANNELS]
    bodies = {path: body for path, _, body in robots.calls}
    assert bodies["/wecom"] == {"msgtype": "text", "text": {"content": RED.text}}
    assert bodies["/slack"] == {"text": RED.text}
    assert bodies["/feishu"]["content"] == {"text": RED.text}
    (letter,) = letters
    assert "To: a@example.com, b@example.com" in letter
    # Not again while it is the same, again when it has changed, and again when it came back.
    assert alert(tmp_path, [RED], environ) == []
    assert len(alert(tmp_path, [RED, RED], environ)) == 5
    assert alert(tmp_path, [], environ) == []
    assert len(alert(tmp_path, [RED], environ)) == 5


def test_signatures_are_those_of_an_independent_calculation():
    # DingTalk signs the string under the secret; Feishu signs nothing under the string.
    wanted = base64.b64encode(
        hmac.new(b"s", b"1782800000250\ns", digestmod=hashlib.sha256).digest()
    ).decode()
    assert dingtalk_sign("1782800000250", "s") == wanted
    wanted = base64.b64encode(hmac.new(b"1782800000\ns", digestmod=hashlib.sha256).digest())
    assert feishu_sign("1782800000", "s") == wanted.decode()


def test_a_wrong_secret_is_refused_by_the_server_and_said(robots, tmp_path):
    for name in ("dingtalk", "feishu"):
        environ = {
            f"QUANYU_ALERT_{name.upper()}": robots.url(f"{name}?access_token=planted"),
            f"QUANYU_ALERT_{name.upper()}_SECRET": "wrong",
        }
        (line,) = alert(tmp_path / name, [RED], environ)
        assert "NOT delivered" in line and "sign" in line and "planted" not in line


def test_nothing_is_sent_before_a_channel_is_configured(tmp_path):
    assert configured({}) == [] and configured({"QUANYU_ALERT_SLACK": "x"}) == ["slack"]
    assert alert(tmp_path, [RED], {}) == [] and not list(tmp_path.iterdir())


def test_a_failed_delivery_is_said_without_the_address_and_tried_again(robots, tmp_path):
    environ = {"QUANYU_ALERT_SLACK": robots.url("slack?token=planted")}
    robots.failing = True
    assert alert(tmp_path, [RED], environ) == [
        "alert      slack: NOT delivered, the server answers 500"
    ]
    robots.failing = False
    assert alert(tmp_path, [RED], environ) == ["alert      slack: delivered"]
    nobody = {"QUANYU_ALERT_WECOM": "http://127.0.0.1:9/send?key=planted"}
    (line,) = alert(tmp_path, [RED], nobody)
    assert "NOT delivered" in line and "planted" not in line
    with pytest.raises(DeliveryError, match="QUANYU_ALERT_SMTP must be"):
        deliver("email", "x", {"QUANYU_ALERT_EMAIL": "a@example.com"})
    with pytest.raises(DeliveryError, match="Refused"):
        deliver(
            "email",
            "x",
            {"QUANYU_ALERT_EMAIL": "a@b.c", "QUANYU_ALERT_SMTP": "smtp://u:planted@127.0.0.1:9"},
        )


def test_the_seed_says_what_is_told_and_where():
    rules = read_rules()
    assert channels_of(RED, rules) == set(CHANNELS)
    assert channels_of(Event("light", "north", "x", "F", "amber"), rules) == set()
    assert channels_of(Event("held_batch", "*", "x"), rules) == set(CHANNELS)
    own = [{"event": "light", "brand_id": "south", "letter": "A", "light": "amber"}]
    own = [own[0] | {"channels": "slack email", "is_on": "true"}]
    assert channels_of(Event("light", "south", "x", "A", "amber"), own) == {"slack", "email"}
    assert channels_of(Event("light", "south", "x", "F", "amber"), own) == set()
    assert channels_of(Event("light", "north", "x", "A", "amber"), own) == set()
    told = messages([RED, Event("light", "south", "b", "A", "amber")], [*rules, *own], ["slack"])
    assert told == {"slack": f"{RED.text}\nb"}


def test_red_and_amber_lights_are_events_and_green_ones_are_not():
    letter = LETTER | {"name": "人群", "reason": "少了 9 人。", "action": "今天就查"}
    content = {"brand": "north", "as_of": "2026-06-30", "language": "zh"}
    content["fast"] = [letter | {"light": light} for light in ("red", "green", "none", "amber")]
    red, amber = events_of_lights([content])
    assert (red.light, amber.light, red.brand_id) == ("red", "amber", "north")
    assert red.text == (
        "north 6月30日 · 处理 · F 人群 1,080 (较 7 天前 −9 (−0.8%))\n少了 9 人。\n主要变动：离开 A 认知 −9\n建议：今天就查"
    )
    letter |= {"is_rate": True, "drivers": [], "action": None}
    (amber,) = events_of_lights(
        [content | {"language": "en", "fast": [letter | {"light": "amber"}]}]
    )
    assert (
        amber.text == "north 30 June · Watch · F 人群 1,080 (vs 7 days ago −9 (−0.8%))\n少了 9 人。"
    )


def test_a_day_that_is_kept_back_is_told_in_the_words_of_the_report():
    batch = {"entity": "orders", "batch": "dt=2026-06-30", "status": "held", "reasons": "0 bytes"}
    held = event_of_hold(Hold("batches", "2026-06-30", batches=[batch]), "zh")
    assert held.event == "held_batch" and held.text.startswith("消费者运营日报 · 6月30日没有发布")
    assert "订单 dt=2026-06-30: 文件是空的" in held.text
    reason = (
        "orders batch dt=2026-06-30: `amount` is empty in 9 of 10 rows (90.0%); allowed: at most 5%"
    )
    counted = Hold("batches", "2026-06-30", batches=[batch | {"reasons": reason}])
    zh, en = (event_of_hold(counted, language).text for language in ("zh", "en"))
    assert "订单 dt=2026-06-30: amount（10 行里 9 行，90.0%）：" in zh
    assert "Orders dt=2026-06-30: `amount` is empty in 9" in en
    failure = {"kind": "model", "name": "customers", "rows": None, "test": "", "message": "x"}
    failed = event_of_hold(Hold("build", "2026-06-30", failures=[failure]), "en")
    assert failed.event == "failed_run"
    assert failed.text.endswith("The table customers could not be built.")
    late = event_of_hold(Hold("serving", "2026-06-30", message="disk full, 13912345678"), "en")
    assert late.text.endswith("disk full, …")


def test_a_long_text_is_cut_between_characters():
    assert shortened("短", 3) == "短"
    assert shortened("一二三四", 9) == "一二…"
    assert len(shortened("字" * 2000, 2048).encode()) <= 2048


@pytest.mark.parametrize(
    ("status", "text", "why"),
    [
        (200, '{"errcode":0,"errmsg":"ok"}', None),
        (200, '{"code":0,"msg":"success","data":{}}', None),
        (200, '{"StatusCode":0}', None),
        (200, "ok", None),
        (200, '{"errcode":93000,"errmsg":"invalid webhook"}', "93000: invalid webhook"),
        (200, '{"code":19021,"msg":"sign match fail"}', "19021: sign match fail"),
        (200, "<html>", "not understood"),
        (302, "", "answers 302"),
    ],
)
def test_what_a_robot_answers_is_understood(status, text, why):
    found = refusal(status, text)
    assert found is None if why is None else why in found


def test_a_run_tells_its_hold_and_its_lights_and_never_fails_for_it(robots, tmp_path):
    settings = Settings(tmp_path, tmp_path, tmp_path / "w.duckdb")
    environ = {"QUANYU_ALERT_SLACK": robots.url("slack")}
    conclude(settings, Hold("build", "2026-06-30", message="dbt"))
    assert tell(settings, [], environ) == ["alert      slack: delivered"]
    conclude(settings, None)
    page = tmp_path / "north.html"
    letter = LETTER | {"name": "x", "light": "red", "reason": "y", "drivers": [], "action": None}
    content = {"brand": "north", "as_of": "2026-06-30", "language": "en", "fast": [letter]}
    page.with_suffix(".json").write_text(json.dumps(content))
    assert tell(settings, [page], environ) == ["alert      slack: delivered"]
    assert robots.calls[-1][2]["text"].endswith("F x 1,080 (vs 7 days ago −9 (−0.8%))\ny")
    chosen = Settings(tmp_path, tmp_path, tmp_path / "w.duckdb", as_of_date="2026-05-31")
    assert tell(chosen, [page], environ) == []
    page.with_suffix(".json").write_text("broken")
    assert tell(settings, [page], environ) == ["alert      NOT sent: JSONDecodeError"]
