import networkx as nx
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from thalweg.planner.graph.hierarchical_search import RegionSearch

FREE = np.zeros(1)


def path(search, start, end):
    return search.path(np.array([start]), FREE, np.array([end]), FREE)


def grid(size, open_at=None):
    """Places in a square, each joined to the four beside it at cost 1; a wall in the middle is open in one row."""
    graph = nx.grid_2d_graph(size, size)
    if open_at is not None:
        graph.remove_nodes_from([(size // 2, y) for y in range(size) if y != open_at])
    return list(graph), csr_array(nx.to_scipy_sparse_array(graph, dtype=float))


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**31), size=st.integers(1, 30), regions=st.integers(1, 6), density=st.sampled_from([0.05, 0.15]))
def test_any_way_that_is_found_is_one_and_one_is_found_if_there_is_any(seed, size, regions, density):
    rng = np.random.default_rng(seed)
    costs = rng.uniform(0.5, 3, (size, size)) * (rng.random((size, size)) < density)
    np.fill_diagonal(costs, 0)
    shortest = dijkstra(costs)
    centres = rng.permutation(size)[:regions]
    narrow, wide = (RegionSearch.build(csr_array(costs), centres, slack) for slack in (0.1, 1e9))
    for start, end in rng.integers(size, size=(5, 2)):
        for search in (narrow, wide):
            route, so_far = path(search, start, end)
            assert (len(route) > 0) == np.isfinite(shortest[start, end])
            if len(route):
                hops = costs[route[:-1], route[1:]]
                assert route[0] == start and route[-1] == end and (hops > 0).all()
                assert np.allclose(so_far, np.concatenate([[0], np.cumsum(hops)]))
                assert so_far[-1] >= shortest[start, end] - 1e-9
                assert search is narrow or np.isclose(so_far[-1], shortest[start, end])


def test_several_ends_are_weighed_against_each_other():
    _, graph = grid(9)
    search = RegionSearch.build(graph, np.array([0, 40, 80]), slack=1.0)
    route, costs = search.path(np.array([0, 8]), np.array([0.0, 5.0]), np.array([72, 80]), np.array([9.0, 0.0]))
    assert route[[0, -1]].tolist() == [8, 80] and costs[[0, -1]].tolist() == [5, 13]


def test_ways_through_regions_are_hardly_longer():
    """A square with a wall: 3,601 places, 100 regions; the shortest ways are known from networkx's own grid."""
    places, graph = grid(61, open_at=60)
    rng = np.random.default_rng(0)
    search = RegionSearch.build(graph, rng.permutation(len(places))[:100], slack=1.0)
    excess = []
    for start, end in rng.integers(len(places), size=(60, 2)):
        (x, y), (u, v) = places[start], places[end]
        across = (x - 30) * (u - 30) < 0
        shortest = abs(x - u) + (120 - y - v if across else abs(y - v))
        excess.append(path(search, start, end)[1][-1] - shortest)
    assert min(excess) >= 0 and np.mean(excess) < 0.5


def test_most_of_a_large_graph_is_not_looked_at(monkeypatch):
    _, graph = grid(61)
    search = RegionSearch.build(graph, np.random.default_rng(0).permutation(61 * 61)[:100], slack=1.0)
    sizes = []
    searched = "thalweg.planner.graph.hierarchical_search.dijkstra"
    monkeypatch.setattr(searched, lambda part, **asked: sizes.append(part.shape[0]) or dijkstra(part, **asked))
    path(search, 0, 60)
    assert len(sizes) == 1 and sizes[0] < 61 * 61 / 3
