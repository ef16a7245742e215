"""The types of graphs, as users' checkers see them."""

from typing import Any, assert_type

from wares import Edge, Graph, Node, Registry

registry = Registry()
with registry.record():
    pass
graph = registry.graph()
assert_type(graph, Graph)
assert_type(graph.nodes, tuple[Node, ...])
assert_type(graph.edges, tuple[Edge, ...])
assert_type(graph.problems, tuple[Exception, ...])
assert_type(graph.to_mermaid(), str)
assert_type(graph.to_dot(), str)
assert_type(graph.to_html(), str)
assert_type(graph.to_html("Shop"), str)
assert_type(graph.to_dict(), dict[str, Any])
for node in graph.nodes:
    assert_type(node.tags, tuple[str, ...])
    assert_type(node.problems, tuple[int, ...])
for edge in graph.edges:
    assert_type(edge.kind, str)
    assert_type(edge.parameter, str | None)

graph.to_html(1)  # type: ignore[arg-type]  # a title is a string
