"""Who is who: which identifiers of a person the landed records tie together.

A person whose records leave gaps falls into pieces. Piece 0 is the one with the strongest
identifier; the others are numbered by their strongest kind. Two identifiers of one person in the
same piece belong to one customer; the warehouse cannot know that two pieces are one person.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from demo import identifiers as ids
from demo.people import Population
from demo.rows import Behaviour

_NO_PIECE = -1
_KIND_COLUMNS = {
    "touchpoints": ("",),
    "orders": ("",),
    "refunds": ("",),
    "memberships": ("",),
    "identity_links": ("", "2"),
    "profiles": ("",),
    "messages": ("",),
    "referrals": ("",),
    "erasure_requests": ("",),
}


@dataclass
class Pieces:
    """Identity truth of a slice.

    `piece` has shape (n, kinds): the piece of each landed identifier, -1 where it was not landed
    or joins nobody (trap, shared device, recycled phone). `seen` holds the landed (person, kind,
    surface) triples and `traps` the landed (kind, owner, surface) triples, both (m, 3).
    """

    piece: np.ndarray
    seen: np.ndarray
    traps: np.ndarray

    @property
    def counts(self) -> np.ndarray:
        """Whether events under an identifier count for its person: bool of shape (n, kinds)."""
        return self.piece == 0


def _landed(done: Behaviour) -> tuple[np.ndarray, np.ndarray]:
    """Distinct (person, kind, surface) and trap (kind, owner, surface) triples on any record."""
    people = done.people
    packed, traps = [], []

    def take(person, kind, owner, surface):
        person, kind, owner, surface = (
            np.asarray(x, dtype=np.int64) for x in np.broadcast_arrays(person, kind, owner, surface)
        )
        own = (kind >= 0) & (kind < ids.PERSONAL_KINDS)
        packed.append(
            np.unique((person[own] - people.first) * 4_096 + kind[own] * 64 + surface[own])
        )
        trap = kind >= ids.PERSONAL_KINDS
        triples = np.stack([kind[trap], owner[trap], surface[trap]], axis=1)
        traps.append(np.unique(triples, axis=0))

    for entity, suffixes in _KIND_COLUMNS.items():
        table = done.table(entity)
        for end in suffixes:
            take(table["person"], table["kind" + end], table["owner" + end], table["surface" + end])
    referrals = done.table("referrals")
    take(*(referrals[name] for name in ("invitee", "kind2", "owner2", "surface2")))
    members = done.table("memberships")
    take(members["person"], ids.MEMBER, members["person"], 0)
    profiles = done.table("profiles")
    take(*(profiles[f] for f in ("person", "phone_kind", "phone_owner", "phone_surface")))
    take(*(profiles[f] for f in ("person", "email_kind", "person", "email_surface")))
    unique = np.unique(np.concatenate(packed))
    seen = np.stack([unique // 4_096, unique // 64 % 64, unique % 64], axis=1)
    return seen, np.unique(np.concatenate(traps), axis=0)


def _edges(done: Behaviour) -> np.ndarray:
    """Distinct (position, kind, kind) edges that records state, without traps: shape (m, 3)."""
    people = done.people
    links, members, profiles = (
        done.table(name) for name in ("identity_links", "memberships", "profiles")
    )
    parts = [
        (links["person"], links["kind"], links["kind2"]),
        (members["person"], np.full(len(members), ids.MEMBER), members["kind"]),
        (profiles["person"], profiles["kind"], profiles["phone_kind"]),
        (profiles["person"], profiles["kind"], profiles["email_kind"]),
    ]
    edges = np.concatenate([np.stack(part, axis=1) for part in parts]).astype(np.int64)
    edges[:, 0] -= people.first
    sound = (edges[:, 1:] >= 0).all(axis=1) & (edges[:, 1:] < ids.PERSONAL_KINDS).all(axis=1)
    edges = edges[sound]
    # A recycled phone would make one person of two members; a careful warehouse refuses it.
    touched = (edges[:, 1:] == ids.PHONE).any(axis=1) & people.is_recycled[edges[:, 0]]
    return np.unique(edges[~touched], axis=0)


def resolve(done: Behaviour) -> Pieces:
    """Find the pieces of every person of a slice."""
    people: Population = done.people
    seen, traps = _landed(done)
    kinds = len(ids.KINDS)
    landed = np.zeros((people.n, kinds), dtype=bool)
    landed[seen[:, 0], seen[:, 1]] = True
    label = np.where(landed, np.arange(kinds), kinds)
    edges = _edges(done)
    weak = np.isin(edges[:, 1:], ids.WEAK_KINDS).any(axis=1)
    strong = edges[~weak]
    for _ in range(kinds):
        before = label.copy()
        who, left, right = strong.T
        smaller = np.minimum(label[who, left], label[who, right])
        np.minimum.at(label, (who, left), smaller)
        np.minimum.at(label, (who, right), smaller)
        if (before == label).all():
            break
    # Devices and cookies attach to what they were seen with and tie nothing together.
    for kind in ids.WEAK_KINDS:
        who, left, right = edges[weak & (edges[:, 1:] == kind).any(axis=1)].T
        label[who, kind] = label[who, left + right - kind]
    main = label.min(axis=1)
    piece = np.where(label == main[:, None], 0, label + 1)
    piece = np.where(landed, piece, _NO_PIECE)
    piece[people.is_recycled, ids.PHONE] = _NO_PIECE
    piece[people.shares_device, ids.DEVICE] = _NO_PIECE
    return Pieces(piece, seen, traps)
