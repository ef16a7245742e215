"""Tests of graphs: problems at their places, services that were seen, and the page."""

import asyncio
import html
import json
import re
import typing

import attrs
import pytest

from tests.support.services import (
    Cache,
    Database,
    Engine,
    Mailer,
    Missing,
    Needy,
    Repository,
    Session,
    Settings,
    Shop,
)
from wares import Depends, Graph, Registry


def facts_of(registry):
    """Return nodes by name, and edges by the names of their ends."""
    graph = registry.graph()
    return (
        {node.name: node for node in graph.nodes},
        {(edge.source, edge.target): edge for edge in graph.edges},
    )


def data_of(page):
    """Return the graph that a page draws."""
    return json.loads(re.search(r'<script type="application/json".*?>(.*?)</script>', page)[1])


class Called:
    """A key with any given name."""

    def __init__(self, text):
        self.text = text

    def __repr__(self):
        return self.text


#: Names that would be more than text, if they were written as they are.
TRICKY = [
    "plain",
    "two\nlines",
    'a\n    click n0 "javascript:alert(1)"',
    "a\r\n    n9[injected]",
    "a\u2028b\u0085c\x00d",
    'a"] --> n1["b',
    "list[dict[str, int]]",
    "#quot;#35;",
    "&quot;&lt;",
    "`**bold**`",
    "%%{init: {}}%%",
    "<b>a</b>",
    "click",
    "end",
    'style:"red"',
    "ends with \\",
    "\\N\\l",
    "Größe 大",
]

#: How what cannot be seen is shown.
PICTURES = {
    **{code: chr(0x2400 + code) for code in range(0x20)},
    **dict.fromkeys([0x85, 0x2028], "\ufffd"),
}


def shown_by_mermaid(label):
    """Read a label as Mermaid does."""
    return re.sub(r"#(\d+);", lambda found: chr(int(found[1])), label)


class TestFacts:
    """Nodes and edges."""

    def test_tags(self, registry):
        """A node tells its tags."""
        registry.register_value(Database, 1, tags=["live", "ready"])
        registry.register_value(Cache, 1)

        nodes, _ = facts_of(registry)

        assert [("live", "ready"), ()] == [nodes[name].tags for name in ("Database", "Cache")]
        assert ["live", "ready"] == registry.graph().to_dict()["nodes"][0]["tags"]

    def test_something_missing(self, registry):
        """The missing service, the service that needs it, and the edge are marked."""
        registry.register_factory(Needy, Needy)
        registry.register_factory(Database, Database)

        nodes, edges = facts_of(registry)

        assert [(0,), (0,), ()] == [
            nodes[name].problems for name in ("Needy", "Missing", "Database")
        ]
        assert (0,) == edges["Needy", "Missing"].problems

    def test_a_circle(self, registry):
        """All services of a circle are marked, and its edges."""

        def make_engine(session: Session): ...
        def make_session(cache: Cache, database: Database): ...
        def make_cache(engine: Engine): ...

        registry.register_factory(Engine, make_engine)
        registry.register_factory(Session, make_session)
        registry.register_factory(Cache, make_cache)
        registry.register_value(Database, 1)

        nodes, edges = facts_of(registry)

        assert {"Engine", "Session", "Cache"} == {
            name for name, node in nodes.items() if node.problems
        }
        assert {("Engine", "Session"), ("Session", "Cache"), ("Cache", "Engine")} == {
            pair for pair, edge in edges.items() if edge.problems
        }

    def test_lifetimes(self, registry):
        """Both services of a lifetime that does not fit are marked."""

        def make_engine(session: Session): ...

        registry.register_factory(Engine, make_engine, lifetime="singleton")
        registry.register_factory(Session, Session)

        nodes, edges = facts_of(registry)

        assert [(0,), (0,)] == [node.problems for node in nodes.values()]
        assert (0,) == edges["Engine", "Session"].problems

    def test_a_parameter_that_nothing_fills(self, registry):
        """A service whose factory cannot be read is marked."""

        def make(it: "Nowhere"): ...  # noqa: F821  # that is the point

        registry.register_factory(Database, make)

        nodes, _ = facts_of(registry)

        assert (0,) == nodes["Database"].problems

    def test_callables_that_markers_name(self, registry):
        """A callable that a marker names is in the graph, with its problems."""

        def find_user(database: Database, name): ...
        def make(user: typing.Annotated[object, Depends(find_user)]): ...

        registry.register_factory(Shop, make)
        registry.register_factory(Cache, make, lifetime="transient")
        registry.register_factory(Engine, make, lifetime="singleton")
        registry.register_factory(Database, Database, lifetime="singleton")

        nodes, edges = facts_of(registry)

        assert "callable" == nodes["find_user"].kind
        assert ("find_user", "Database") in edges
        assert (0,) == nodes["find_user"].problems

    def test_what_no_callable_stands_behind(self, registry):
        """A marker that names something else than a callable needs it to be registered."""

        def make(name: typing.Annotated[str, Depends("name")]): ...

        registry.register_factory(Shop, make)

        nodes, _ = facts_of(registry)

        assert "missing" == nodes["'name'"].kind

    def test_given_objects(self, registry):
        """An object that containers are given is in the graph only if a service needs it."""

        def make(session: Session, mailer: Mailer | None): ...
        def ask(wares_container):
            return wares_container.get(Cache)

        registry.expect(Session, Mailer, Cache, Engine, Settings)
        registry.register_factory(Shop, make)
        registry.register_factory(Database, ask)
        with registry.record(), registry.container({Cache: 1}) as container:
            container.get(Database)

        nodes, _ = facts_of(registry)

        given = [name for name, node in nodes.items() if node.kind == "expected"]
        assert ["Session", "Mailer", "Cache"] == given

    @pytest.mark.parametrize(
        "draw",
        [Graph.to_mermaid, Graph.to_dot, Graph.to_html, lambda graph: str(graph.to_dict())],
    )
    def test_given_objects_in_drawings(self, registry, draw):
        """No drawing shows an object that containers are given and that nothing needs."""

        def make(session: Session): ...

        registry.expect(Session, Mailer)
        registry.register_factory(Shop, make)

        text = draw(registry.graph())

        assert (True, False) == ("Session" in text, "Mailer" in text)

    def test_names_are_unique(self, registry):
        """Keys that are called the same have different names, also from the same module."""
        for _ in range(3):
            registry.register_factory(type("Twin", (), {}), object)

        nodes, _ = facts_of(registry)

        assert [f"{__name__}.Twin{number}" for number in ("", " (2)", " (3)")] == list(nodes)

    def test_the_same_each_time(self, registry):
        """The graph of one registry is drawn the same way each time."""
        for key in (Shop, Repository, Database, Needy, Settings):
            registry.register_factory(key, key)

        first, second = ((one.to_dict(), one.to_html()) for one in (registry.graph(),) * 2)

        assert first == second
        assert first == (registry.graph().to_dict(), registry.graph().to_html())


class TestDrawings:
    """Drawings show problems, and needs that were seen."""

    def test_mermaid(self, registry):
        """Mermaid draws problems in red, and needs that were seen as dotted lines."""
        registry.register_factory(Needy, Needy)
        registry.register_factory(Shop, lambda wares_container: wares_container.get(Cache))
        registry.register_value(Cache, 1)
        with registry.record(), registry.container() as container:
            container.get(Shop)

        lines = [line.strip() for line in registry.graph().to_mermaid().splitlines()]

        assert "class n0,n3 problem" in lines
        assert "n0 --> n3" in lines
        assert "linkStyle 0 stroke:#dc2626,stroke-width:3px" in lines
        assert "n1 -.-> n2" in lines

    def test_dot(self, registry):
        """Graphviz draws problems in red, and needs that were seen as dashed lines."""
        registry.register_factory(Needy, Needy)
        registry.register_factory(Shop, lambda wares_container: wares_container.get(Cache))
        registry.register_value(Cache, 1)
        with registry.record(), registry.container() as container:
            container.get(Shop)

        lines = [line.strip() for line in registry.graph().to_dot().splitlines()]

        assert '"Needy" [color=blue, color=red, penwidth=2];' in lines
        assert '"Needy" -> "Missing" [color=red];' in lines
        assert '"Shop" -> "Cache" [style=dashed];' in lines

    def test_two_needs_of_one_service(self, registry):
        """A service that is needed twice by another is drawn with one line."""

        def make(one: Database, other: Database): ...

        registry.register_factory(Shop, make)
        registry.register_value(Database, 1)
        graph = registry.graph()

        assert 2 == len(graph.edges)
        assert (1, 1) == (graph.to_mermaid().count(" --> "), graph.to_dot().count(" -> "))

    @pytest.mark.parametrize("text", TRICKY)
    def test_mermaid_names_are_text(self, registry, text):
        """Any name of a key is one label on one line of Mermaid."""
        registry.register_value(Called(text), 1)
        registry.register_value("after", 1)

        first, second, *_ = registry.graph().to_mermaid().splitlines()[1:]

        label = re.fullmatch(r'    n0\["([^"]*)"\]:::given', first)[1]
        assert shown_by_mermaid(label) == text.translate(PICTURES)
        assert '    n1["' == second[:8]
        assert [] == re.findall(r"[`<>{}%:;]", re.sub(r"#\d+;", "", label))

    @pytest.mark.parametrize("text", TRICKY)
    def test_dot_names_are_text(self, registry, text):
        """Any name of a key is one quoted name on one line of Graphviz."""
        registry.register_value(Called(text), 1)

        line = registry.graph().to_dot().splitlines()[3]

        quoted = re.fullmatch(r'    "((?:[^"\\]|\\.)*)" \[color=gray\];', line)[1]
        shown = html.unescape(re.sub(r"\\(.)", r"\1", quoted))
        assert shown == text.translate(PICTURES)

    def test_names_that_are_alike_but_for_a_line_break_stay_apart(self, registry):
        """Control characters are shown, so that no two names become one."""
        for text in ("a\nb", "a\rb", "a b"):
            registry.register_value(Called(text), 1)

        assert 3 == len(set(re.findall(r'"(a.*?)"', registry.graph().to_dot())))


class TestPage:
    """`to_html`."""

    def test_it_holds_the_graph(self, registry):
        """The page holds the graph, and its title."""
        registry.register_factory(Shop, Shop)
        graph = registry.graph()

        page = graph.to_html("Books & <more>")

        assert graph.to_dict() == data_of(page)
        assert "<title>Books &amp; &lt;more&gt;</title>" in page
        assert "{{" not in page

    def test_it_needs_nothing_else(self, registry):
        """The page loads nothing: no script, style, font or picture from elsewhere."""
        page = registry.graph().to_html()

        links = re.findall(r"https?://[^\s\"']+", page)
        assert ["http://www.w3.org/2000/svg"] == links
        assert [] == re.findall(r"<(?:link|img|iframe|script src)|@import|url\((?!#)", page)

    def test_names_cannot_break_it(self, registry):
        """A key that looks like markup stays data, also like the places of the template."""
        registry.register_value("</script><script>alert(1)</script>{{title}}{{data}}", 1)
        graph = registry.graph()

        page = graph.to_html()

        assert graph.to_dict() == data_of(page)
        assert 2 == page.count("</script>")

    @pytest.mark.parametrize("title", ["{{data}}", "{{title}}", "a {{data}} b", "\\1 \\g<0>"])
    def test_titles_cannot_break_it(self, registry, title):
        """A title that looks like a place of the template stays a title."""
        registry.register_factory(Shop, Shop)
        graph = registry.graph()

        page = graph.to_html(title)

        assert graph.to_dict() == data_of(page)
        assert f"<title>{html.escape(title)}</title>" in page

    def test_an_empty_registry(self, registry):
        """An empty registry has a page, too."""
        assert {"nodes": [], "edges": [], "problems": []} == data_of(registry.graph().to_html())


class TestRecording:
    """`Registry.record`."""

    def seen_in(self, registry):
        return [
            (edge.source, edge.target)
            for edge in registry.graph().edges
            if edge.kind == "seen" and edge.parameter is None
        ]

    @pytest.fixture
    def registry(self, registry):
        """A registry whose factories ask in their bodies."""

        def make_shop(wares_container):
            return wares_container.get(Repository, Cache)

        def make_repository(wares_container, database: Database):
            return wares_container.get(Database)

        registry.register_factory(Shop, make_shop)
        registry.register_factory(Repository, make_repository)
        registry.register_factory(Database, Database)
        registry.register_factory(Cache, Cache)
        return registry

    async def test_what_is_asked_for_in_bodies(self, way, registry):
        """The graph contains services that bodies ask for; declared needs stay declared."""
        with registry.record():
            container = registry.container()
            await way.get(container, Shop)
            await way.close(container)

        assert [("Shop", "Repository"), ("Shop", "Cache")] == self.seen_in(registry)

    async def test_asynchronous_factories(self, registry):
        """Needs of async factories are seen, even in tasks that they start."""

        async def make(wares_container):
            await asyncio.gather(wares_container.aget(Database), wares_container.aget(Cache))

        registry.register_factory(Mailer, make)
        with registry.record():
            async with registry.container() as container:
                await container.aget(Mailer)

        assert {("Mailer", "Database"), ("Mailer", "Cache")} == set(self.seen_in(registry))

    def test_who_is_no_factory(self, registry, container):
        """Needs outside of factories, or of other registries, have no edge."""
        other = Registry()
        other.register_factory(Mailer, lambda wares_container: wares_container.get(str))
        other.register_value(str, "")
        with registry.record(), other.container() as foreign:
            foreign.get(Mailer)
            container.get(Database)

        assert ([], []) == (self.seen_in(registry), self.seen_in(other))

    def test_only_meanwhile(self, registry):
        """Nothing is noted before and after; recordings nest."""
        with registry.record():
            with registry.record(), registry.container() as container:
                container.get(Repository)
            registry.register_factory(
                Mailer, lambda wares_container: wares_container.get(Cache)
            )
            with registry.container() as container:
                container.get(Mailer)
        with registry.container() as container:
            container.get(Shop)

        assert [("Mailer", "Cache")] == self.seen_in(registry)

    def test_a_registry_that_is_not_hashable(self):
        """A subclass that compares its instances records like any other registry."""

        @attrs.define
        class Comparable(Registry):
            """Defined by attrs, it is equal to others, and has no hash."""

        registry = Comparable()
        registry.register_factory(Mailer, lambda wares_container: wares_container.get(Cache))
        registry.register_factory(Cache, Cache)

        with registry.record(), registry.container() as container:
            container.get(Mailer)

        assert [("Mailer", "Cache")] == self.seen_in(registry)

    def test_something_that_is_not_registered(self, registry):
        """A missing service that a body asks for is in the graph, too."""

        def ask(wares_container):
            with pytest.raises(LookupError):
                wares_container.get(Missing)

        registry.register_factory(Mailer, ask)
        with registry.record(), registry.container() as container:
            container.get(Mailer)

        nodes, edges = facts_of(registry)
        assert "missing" == nodes["Missing"].kind
        assert "seen" == edges["Mailer", "Missing"].kind

    def test_what_is_no_longer_registered(self, registry):
        """Needs that were seen during an override are not in the graph after it."""
        with (
            registry.record(),
            registry.override_factory(
                "other", lambda wares_container: wares_container.get(Cache)
            ),
            registry.container() as container,
        ):
            container.get("other")

        assert [] == self.seen_in(registry)
