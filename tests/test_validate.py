"""Looking before anything runs: `validate` and `graph`."""

import json
import re
import typing
from collections.abc import Callable

import pytest

from tests.support.messages import location_of, missing_parts
from tests.support.services import (
    Cache,
    Database,
    Engine,
    Mailer,
    Missing,
    NeedsNeedy,
    Needy,
    Repository,
    Session,
    Shop,
)
from wares import (
    CircularDependencyError,
    Container,
    InvalidRegistryError,
    LifetimeError,
    ServiceNotFoundError,
    UnresolvableParameterError,
    autowire,
)


def needs(*keys):
    """Return a factory that declares that it needs *keys*, and that must not be called."""
    names = [f"need_{number}" for number in range(len(keys))]
    namespace: dict = {}
    exec(f"def factory({', '.join(names)}): raise AssertionError", namespace)
    namespace["factory"].__annotations__ = dict(zip(names, keys, strict=True))
    return namespace["factory"]


def problems_of(registry):
    """Return what `validate` finds."""
    with pytest.raises(InvalidRegistryError) as caught:
        registry.validate()
    return caught.value.exceptions


def unresolvable(nothing: "NobodyKnows"):  # noqa: F821  # on purpose
    raise AssertionError


class TestNothingToFind:
    def test_an_empty_registry(self, registry):
        """An empty registry is valid."""
        assert None is registry.validate()

    def test_no_factory_runs(self, registry):
        """`validate` and `graph` look at signatures only."""
        registry.register_factory(Database, needs(), lifetime="singleton")
        registry.register_factory(Cache, needs(Database), lifetime="singleton")
        registry.register_factory(Mailer, needs(Database, Cache), lifetime="transient")

        assert None is registry.validate()
        assert 3 == len(registry.graph().to_dict()["nodes"])

    def test_everything_that_can_be_needed(self, registry):
        """Values, the container and parameters with defaults are no problem."""

        def make(
            wares_container, value: Cache, container: Container, default: Missing = None, *rest
        ):
            raise AssertionError

        registry.register_value(Cache, 1)
        registry.register_factory(Database, make)
        registry.register_factory(Engine, autowire(make))

        assert None is registry.validate()

    def test_what_is_expected(self, registry):
        """A key announced by `expect` is no problem."""
        registry.register_factory(Database, needs(Session, Missing))
        registry.expect(Session)
        registry.expect(Missing, Mailer)

        assert None is registry.validate()

    def test_it_changes_nothing(self, registry, container):
        """After `validate` everything is as it was: later registrations count."""
        registry.register_factory(Repository, Repository)
        problems_of(registry)
        registry.register_factory(Database, Database)

        assert None is registry.validate()
        assert Database is type(container.get(Repository).database)

    def test_a_diamond(self, registry):
        """A service that is needed twice is no circle."""
        registry.register_factory(Database, needs())
        registry.register_factory(Cache, needs(Database))
        registry.register_factory(Mailer, needs(Database, Cache))
        registry.register_factory(Engine, needs(Mailer, Cache, Database, Database))

        assert None is registry.validate()


class TestMissing:
    def test_with_its_path(self, registry):
        """The error for a missing service names the factory that needs it, and its place."""
        registry.register_factory(Needy, Needy)
        registry.register_factory(NeedsNeedy, NeedsNeedy)

        problems = problems_of(registry)

        assert {(ServiceNotFoundError, Missing)} == {(type(it), it.key) for it in problems}
        text = "\n".join(map(str, problems))
        assert [] == missing_parts(text, "Missing", "Needy", location_of(Needy), "register_")

    def test_below_what_an_annotation_stands_for(self, registry):
        """The path to a service asked for later leads through the annotation that asks."""
        registry.register_factory(Database, needs(Callable[[], Callable[[], Missing]]))

        (problem,) = problems_of(registry)

        function = Callable[[], Missing]
        assert (Database, Callable[[], function], function, Missing) == problem.path
        assert "Database (scoped), made by factory" in str(problem)

    def test_every_one(self, registry):
        """Every missing service is named."""
        registry.register_factory(Database, needs(Cache, Mailer))
        registry.register_factory(Engine, needs(Missing, Database))

        assert {Cache, Mailer, Missing} == {problem.key for problem in problems_of(registry)}

    def test_the_nearest_names(self, registry):
        """A missing service's error names registered keys with a similar name."""
        registry.register_value("database", 1)
        registry.register_factory(Database, needs(type("Databse", (), {})))

        (problem,) = problems_of(registry)

        assert "database" in str(problem).casefold().replace("databse", "")

    @pytest.mark.parametrize("lifetime", ["scoped", "singleton", "connection", "transient"])
    def test_for_every_lifetime(self, registry, lifetime):
        """A missing service is found for needs of every lifetime."""
        registry.register_factory(Database, needs(Missing), lifetime=lifetime)

        assert [Missing] == [problem.key for problem in problems_of(registry)]


class TestCycles:
    @pytest.mark.parametrize("length", [1, 2, 3, 50, 1_100])
    @pytest.mark.parametrize("lifetime", ["scoped", "singleton", "transient"])
    def test_the_whole_path(self, registry, length, lifetime):
        """A circle is found once, with its whole path."""
        keys = [type(f"Key{number}", (), {}) for number in range(length)]
        for number, key in enumerate(keys):
            registry.register_factory(
                key, needs(keys[(number + 1) % length]), lifetime=lifetime
            )

        (problem,) = problems_of(registry)

        assert CircularDependencyError is type(problem)
        assert (length + 1, problem.path[0]) == (len(problem.path), problem.path[-1])
        start = keys.index(problem.path[0])
        assert (*keys[start:], *keys[:start], keys[start]) == problem.path
        assert [] == missing_parts(str(problem), *[key.__name__ for key in keys])

    def test_two_circles(self, registry):
        """Two circles are two problems."""
        registry.register_factory(Database, needs(Cache))
        registry.register_factory(Cache, needs(Database))
        registry.register_factory(Mailer, needs(Engine))
        registry.register_factory(Engine, needs(Mailer))
        registry.register_factory(Session, needs(Database, Mailer))

        circles = [set(problem.path) for problem in problems_of(registry)]

        assert 2 == len(circles)
        assert {Database, Cache} in circles
        assert {Mailer, Engine} in circles

    def test_circles_that_share_a_service(self, registry):
        """Circles that meet in one service are both found."""
        registry.register_factory(Database, needs(Cache, Mailer))
        registry.register_factory(Cache, needs(Database))
        registry.register_factory(Mailer, needs(Database))

        circles = [set(problem.path) for problem in problems_of(registry)]

        assert 2 == len(circles)
        assert {Database, Cache} in circles
        assert {Database, Mailer} in circles

    def test_through_an_autowired_default(self, registry):
        """A default that `autowire` fills is a need like any other."""

        def make(cache: Cache = None):
            raise AssertionError

        registry.register_factory(Database, autowire(make))
        registry.register_factory(Cache, needs(Database))

        assert [CircularDependencyError] == list(map(type, problems_of(registry)))

    def test_a_default_that_is_left_alone(self, registry):
        """A default left alone closes no circle."""

        def make(cache: Cache = None):
            raise AssertionError

        registry.register_factory(Database, make)
        registry.register_factory(Cache, needs(Database))

        assert None is registry.validate()


class TestOtherProblems:
    def test_lifetimes(self, registry):
        """A longer-lived service that needs a shorter-lived one is found, with both names."""
        registry.register_factory(Session, needs())
        registry.register_factory(Cache, needs(Session), lifetime="connection")
        registry.register_factory(Engine, needs(Session, Cache), lifetime="singleton")

        problems = problems_of(registry)

        assert {LifetimeError} == set(map(type, problems))
        assert {(Cache, Session), (Engine, Session), (Engine, Cache)} == {
            (problem.key, problem.needed_key) for problem in problems
        }
        for problem in problems:
            assert [] == missing_parts(
                str(problem),
                problem.key.__name__,
                problem.needed_key.__name__,
                problem.lifetime,
                problem.needed_lifetime,
            )

    def test_a_singleton_that_needs_what_is_given(self, registry):
        """A singleton cannot need what each container is given."""
        registry.expect(Session)
        registry.register_factory(Engine, needs(Session), lifetime="singleton")

        (problem,) = problems_of(registry)

        assert LifetimeError is type(problem)
        assert [] == missing_parts(str(problem), "Engine", "Session", "singleton")

    def test_parameters(self, registry):
        """A parameter that nothing can fill is found."""
        registry.register_factory(Database, unresolvable)

        (problem,) = problems_of(registry)

        assert (UnresolvableParameterError, "nothing") == (type(problem), problem.parameter)

    def test_all_at_once(self, registry):
        """All problems come at once, in one group whose text names every one."""
        registry.register_factory(Database, needs(Missing))
        registry.register_factory(Cache, needs(Mailer))
        registry.register_factory(Mailer, needs(Cache))
        registry.register_factory(Session, needs())
        registry.register_factory(Engine, needs(Session), lifetime="singleton")
        registry.register_factory(Shop, unresolvable)

        with pytest.raises(InvalidRegistryError) as caught:
            registry.validate()

        assert {
            ServiceNotFoundError,
            CircularDependencyError,
            LifetimeError,
            UnresolvableParameterError,
        } == set(map(type, caught.value.exceptions))
        assert [] == missing_parts(
            str(caught.value), "Missing", "Cache", "Mailer", "Engine", "Session", "nothing"
        )

    def test_what_validate_accepts_can_be_made(self, registry, container):
        """Services that `validate` accepts are made without an error of ours."""
        registry.register_factory(Database, Database, lifetime="singleton")
        registry.register_factory(Repository, Repository, lifetime="connection")
        registry.register_factory(Shop, Shop)
        registry.validate()

        assert Shop is type(container.get(Shop))


class TestGraph:
    @pytest.fixture
    def registry(self, registry):
        """A registry with something of every kind."""
        registry.register_value(Database, "value", ping=print)
        registry.register_factory(Repository, Repository, lifetime="singleton")
        registry.register_factory(Shop, Shop)
        registry.register_factory(typing.Annotated[Cache, 'a "name"'], needs(Session))
        registry.register_factory(Mailer, needs(typing.Annotated[Cache, 'a "name"']))
        registry.register_factory(Needy, Needy)
        registry.expect(Session)
        return registry

    def test_as_plain_data(self, registry):
        """`to_dict` gives nodes and edges, fit for JSON."""
        graph = registry.graph().to_dict()

        names = {node["name"] for node in graph["nodes"]}
        edges = {(edge["source"], edge["target"]) for edge in graph["edges"]}
        assert graph == json.loads(json.dumps(graph))
        assert {"Database", "Repository", "Shop", "Mailer", "Needy"} < names
        assert {("Shop", "Repository"), ("Repository", "Database")} < edges
        assert {"repository", "database"} < {edge["parameter"] for edge in graph["edges"]}

    def test_facts_of_a_node(self, registry):
        """A node tells its lifetime, where its factory is defined, and whether it has a ping."""
        nodes = {node["name"]: node for node in registry.graph().to_dict()["nodes"]}

        assert ["singleton", "scoped"] == [
            nodes[name]["lifetime"] for name in ("Repository", "Shop")
        ]
        assert location_of(Repository) in nodes["Repository"]["place"]
        assert [True, False] == [nodes[name]["has_ping"] for name in ("Database", "Shop")]

    def test_problems_are_there(self, registry):
        """The graph of an invalid registry shows the missing services."""
        graph = registry.graph().to_dict()

        assert "Missing" in {node["name"] for node in graph["nodes"]}
        assert 1 == len(graph["problems"])

    def test_mermaid(self, registry):
        """`to_mermaid` draws every service and every need once."""
        lines = registry.graph().to_mermaid().splitlines()

        labels = {
            match[1]: match[2]
            for line in lines
            if (match := re.match(r"\s*(\w+)\[\"(.*)\"\]", line))
        }
        arrows = [
            match.groups()
            for line in lines
            if (match := re.match(r"\s*(\w+) --> (\w+)$", line))
        ]
        named = {(labels[source], labels[target]) for source, target in arrows}
        assert "flowchart" in lines[0]
        assert {("Shop", "Repository"), ("Repository", "Database")} < named
        assert len(arrows) == len(set(arrows)) == 5
        assert [] == [label for label in labels.values() if '"' in label]

    def test_dot(self, registry):
        """`to_dot` draws every need once, with names quoted as Graphviz wants them."""
        dot = registry.graph().to_dot()

        assert dot.startswith("digraph")
        assert 1 == dot.count('"Shop" -> "Repository"')
        assert 5 == dot.count(" -> ")
        assert 0 == re.sub(r'\\"', "", dot).count('"') % 2
        assert dot.count("{") == dot.count("}") == 1

    def test_names_are_unique(self, registry):
        """Three keys of one name are three nodes."""
        twins = [type("Twin", (), {}) for _ in range(3)]
        for twin in twins:
            registry.register_factory(twin, needs())
        registry.register_factory("both", needs(*twins))

        graph = registry.graph().to_dict()

        names = [node["name"] for node in graph["nodes"]]
        targets = {edge["target"] for edge in graph["edges"] if "both" in edge["source"]}
        assert len(names) == len(set(names))
        assert 3 == len(targets)

    def test_an_empty_registry(self, container):
        """An empty registry has an empty graph."""
        from wares import Registry

        graph = Registry().graph()

        assert ([], []) == (graph.to_dict()["nodes"], graph.to_dict()["edges"])
        assert graph.to_mermaid().startswith("flowchart")
        assert graph.to_dot().startswith("digraph")

    def test_overrides(self, registry):
        """The graph shows the registrations in force."""
        with registry.override_value(Repository, 1):
            graph = registry.graph().to_dict()

        assert ("Repository", "Database") not in {
            (edge["source"], edge["target"]) for edge in graph["edges"]
        }
