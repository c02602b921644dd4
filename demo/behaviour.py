"""What the people of one slice do, free of faults: every part of the world in a fixed order."""

from __future__ import annotations

from demo.campaigns import messages
from demo.people import Population
from demo.records import erasures, links, profiles, traps
from demo.relations import memberships, referrals, relationships
from demo.rows import Behaviour
from demo.sessions import sessions
from demo.shopping import orders


def behave(people: Population) -> Behaviour:
    """Everything that a slice's people do."""
    done = Behaviour(people)
    memberships(done)
    relationships(done)
    extra = messages(done)
    orders(done, extra)
    sessions(done)
    links(done)
    profiles(done)
    traps(done)
    referrals(done)
    erasures(done)
    return done
