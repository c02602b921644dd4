"""Who is one person, one component at a time in plain Python and networkx, as docs/identity.md says."""

from __future__ import annotations

from collections import defaultdict

import networkx as nx

Edges = list[tuple[tuple[str, str], tuple[str, str]]]
"""Pairs of identifiers, each (type, value)."""


def partition(edges: Edges, *, guards: bool, limit: int, degree: int) -> set[frozenset]:
    """Groups of identifiers. `limit`: more in one group are not joined; `degree`: more links make a hub."""
    graph = nx.Graph()
    for a, b in edges:
        graph.add_nodes_from((a, b))
        if a != b and "device_id" not in (a[0], b[0]):
            graph.add_edge(a, b)
    graph.remove_nodes_from([n for n in graph if n[0] == "device_id"])
    if guards:
        hub_nodes = [n for n in graph if graph.degree(n) > degree]
        graph.remove_edges_from(list(graph.edges(hub_nodes)))
        for component in list(nx.connected_components(graph)):
            _part(graph, component)
        for component in list(nx.connected_components(graph)):
            if len(component) > limit:
                graph.remove_edges_from(list(graph.edges(component)))
    return {frozenset(component) for component in nx.connected_components(graph)}


def _part(graph: nx.Graph, component: set) -> None:
    anchors = [node for node in component if node[0] == "member_id"]
    if len(anchors) < 2:
        return
    owner: dict = {anchor: anchor for anchor in anchors}
    level = set(anchors)
    while level:
        found = defaultdict(set)
        for node in level:
            for other in graph[node]:
                if other not in owner:
                    found[other].add(owner[node])
        for node, owners in found.items():
            owner[node] = owners.pop() if len(owners) == 1 else None
        level = {node for node in found if owner[node] is not None}
    for a, b in list(graph.edges(component)):
        known = a in owner or b in owner
        if known and (owner.get(a) is None or owner.get(a) != owner.get(b)):
            graph.remove_edge(a, b)
