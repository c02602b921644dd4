"""The frame of a world: its parameters, calendar, promotions, campaigns and delivery dates."""

from __future__ import annotations

import datetime as dt
import zlib
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from demo.text import Clock
from demo.vocabulary import BRANDS, CHANNEL_CODE

SLICE_PEOPLE = 10_000  # people generated at once: about 550,000 touchpoints, 200 MB at the peak
LARGE_WORLD = 20_000  # from here on the small entities are delivered daily, too


class Promotion(NamedTuple):
    """A promotion and the factors by which it lifts the chance of an order or a session."""

    name: str
    name_zh: str
    starts_on: dt.date
    ends_on: dt.date
    order_factor: float
    touchpoint_factor: float


# Name, Chinese name, first and last (month, day), order factor, session factor.
_PROMOTIONS = (
    ("38", "38大促", (3, 1), (3, 8), 1.8, 1.3),
    ("618", "618大促", (6, 1), (6, 20), 2.6, 1.6),
    ("double_11", "双11大促", (11, 1), (11, 11), 3.8, 1.9),
)
_WEEKDAY = np.array([0.95, 0.92, 0.94, 0.97, 1.05, 1.20, 1.15])


class Campaign(NamedTuple):
    """One row of `campaigns`; `brand` is a position in BRANDS, days count from the world's start.

    `role` says what the generator does with it: `ads`, `message`, `promotion`, `launch`, `invite`.
    """

    campaign_id: str
    brand: int
    name: str
    scenario: str
    channel: int
    first_day: int
    last_day: int
    budget_yuan: int
    role: str


@dataclass(frozen=True)
class World:
    """The four parameters that decide every byte of a world."""

    people: int
    seed: int
    until: dt.date
    days: int

    @cached_property
    def start(self) -> dt.date:
        """First day of the world."""
        return self.until - dt.timedelta(days=self.days - 1)

    @cached_property
    def clock(self) -> Clock:
        """Renderer of this world's times."""
        return Clock(self.start, self.days)

    def slice_people(self, index: int) -> tuple[int, int]:
        """First person of a slice and the number of people in it."""
        first = index * SLICE_PEOPLE
        return first, min(SLICE_PEOPLE, self.people - first)

    @property
    def slices(self) -> int:
        """Number of people slices."""
        return -(-self.people // SLICE_PEOPLE)

    def date(self, day: int) -> dt.date:
        """Calendar date of a day number."""
        return self.start + dt.timedelta(days=int(day))

    def rng(self, label: str, number: int = 0) -> np.random.Generator:
        """A random stream of its own per purpose, so that one part may change alone."""
        return np.random.Generator(
            np.random.PCG64(np.random.SeedSequence([self.seed, zlib.crc32(label.encode()), number]))
        )

    @cached_property
    def promotions(self) -> list[Promotion]:
        """Promotions that touch the world's days, oldest first."""
        found = [
            Promotion(name, zh, dt.date(year, *first), dt.date(year, *last), orders, touches)
            for year in range(self.start.year, self.until.year + 1)
            for name, zh, first, last, orders, touches in _PROMOTIONS
        ]
        return [row for row in found if row.ends_on >= self.start and row.starts_on <= self.until]

    def _weights(self, factor: str) -> np.ndarray:
        """Cumulated day weights, shape (days + 1,), with the promotions lifted by `factor`."""
        day = np.arange(self.days)
        weight = _WEEKDAY[(self.start.weekday() + day) % 7]
        of_year = self.start.timetuple().tm_yday + day
        weight = weight * (1 + 0.10 * np.sin(2 * np.pi * (of_year - 80) / 365.25))
        for row in self.promotions:
            first = max((row.starts_on - self.start).days, 0)
            last = min((row.ends_on - self.start).days, self.days - 1)
            weight[first : last + 1] *= getattr(row, factor)
        return np.concatenate([[0.0], np.cumsum(weight)])

    @cached_property
    def order_weights(self) -> np.ndarray:
        """Cumulated chance of an order by day, shape (days + 1,)."""
        return self._weights("order_factor")

    @cached_property
    def session_weights(self) -> np.ndarray:
        """Cumulated chance of a session by day, shape (days + 1,)."""
        return self._weights("touchpoint_factor")

    @cached_property
    def campaigns(self) -> list[Campaign]:
        """Every campaign, in a fixed order; its position is the campaign's code."""
        rows: list[Campaign] = []
        message_channels = ("sms", "wecom", "official_account")
        month = self.start.replace(day=1)
        number = 0
        while month <= self.until:
            after = (month + dt.timedelta(days=32)).replace(day=1)
            span = (month, after - dt.timedelta(days=1))
            stamp = month.strftime("%Y%m")
            for code in range(len(BRANDS)):
                channel = message_channels[(number + code) % 3]
                launch_on = ("xiaohongshu", "douyin")[number % 2]
                rows.append(self._campaign("ads", code, stamp, "acquisition", "ads", span, 60_000))
                rows.append(
                    self._campaign("message", code, stamp, "membership", channel, span, 8_000)
                )
                if number % 3 == 0:
                    rows.append(
                        self._campaign("launch", code, stamp, "product", launch_on, span, 40_000)
                    )
                    rows.append(
                        self._campaign("invite", code, stamp, "growth", "wecom", span, 12_000)
                    )
            month = after
            number += 1
        for promotion in self.promotions:
            stamp = f"{promotion.name}_{promotion.starts_on.year}"
            span = (promotion.starts_on, promotion.ends_on)
            for code in range(len(BRANDS)):
                rows.append(
                    self._campaign("promotion", code, stamp, "promotion", "tmall", span, 150_000)
                )
        return rows

    def _campaign(self, role, brand, stamp, scenario, channel, span, budget) -> Campaign:
        first, last = ((day - self.start).days for day in span)
        row = BRANDS[brand]
        title = {
            "ads": "拉新投放",
            "message": "会员触达",
            "launch": "新品种草",
            "invite": "老带新",
            "promotion": "大促",
        }[role]
        return Campaign(
            f"{row.prefix}-{role}-{stamp}",
            brand,
            f"{row.name_zh}{stamp}{title}",
            scenario,
            CHANNEL_CODE[channel],
            first,
            last,
            round(budget * row.share * 2),
            role,
        )

    def running(self, role: str) -> np.ndarray:
        """Campaign code by (brand, day), shape (brands, days); -1 where no such campaign runs."""
        table = np.full((len(BRANDS), self.days), -1, dtype=np.int16)
        for code, row in enumerate(self.campaigns):
            if row.role == role:
                table[row.brand, max(row.first_day, 0) : max(row.last_day + 1, 0)] = code
        return table

    def cadence(self, entity: str) -> str:
        """How often an entity is delivered: `daily`, `weekly` or `monthly`."""
        if entity in ("touchpoints", "orders", "order_lines"):
            return "daily"
        if entity in ("profiles", "referrals", "erasure_requests"):
            return "weekly" if self.people >= LARGE_WORLD else "monthly"
        if entity == "campaign_costs":
            return "weekly"
        return "daily" if self.people >= LARGE_WORLD else "weekly"

    def deliveries(self, entity: str) -> np.ndarray:
        """Batch day that delivers what happened on each day: int array of shape (days,).

        Weekly batches come on Mondays and monthly ones on the first; what happened since the last
        one comes with a batch on the world's last day.
        """
        day = np.arange(self.days)
        cadence = self.cadence(entity)
        if cadence == "daily":
            return day
        if cadence == "weekly":
            return np.minimum(day + (-(self.start.weekday() + day)) % 7, self.days - 1)
        firsts = [d for d in range(self.days) if self.date(d).day == 1] + [self.days - 1]
        return np.array(firsts)[np.searchsorted(firsts, day)]
