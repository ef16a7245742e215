"""The configuration of all tests: hypothesis profiles, and the collection of code in documents.

Every ```python block of README.md and docs, and every example in a docstring of src, is a test.
docs/contributing.md has the rules for writers, and tests/test_documents.py checks them.
"""

import ast
import asyncio
import gc
import inspect
import os
import re
import sys
import types
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis.strategies import just
from sybil import Document, Example, Sybil
from sybil.parsers import myst, rest

settings.register_profile("dev", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.register_profile("thorough", deadline=None, max_examples=2_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))


def pytest_collection_finish() -> None:
    """Freeze all objects that exist now, so that the many garbage collections of tests are fast."""
    # In its first test, Hypothesis looks for the references to its random numbers, and would not
    # find frozen ones. So this runs a first test before.
    settings(max_examples=1, database=None)(given(just(None))(lambda nothing: nothing))()
    gc.collect()
    gc.freeze()


# The name of the event loop of a document, in the namespace of its blocks.
RUNNER = "__runner__"


class ModuleDocument(Document):
    """A document whose blocks are, one after another, the body of one module.

    It is a real module, so that classes and functions of its blocks have a module name, and so
    that Python can evaluate their annotations.
    """

    def __init__(self, text: str, path: str) -> None:
        """Make the module, under a name that no real module has."""
        super().__init__(text, path)
        name = re.sub(r"\W", "_", Path(path).stem) + "_document"
        self.module = types.ModuleType(name)
        # Python warns of a specification that is None when it prints a traceback.
        del self.module.__spec__
        self.namespace = self.module.__dict__


def run_block(example: Example) -> None:
    """Run a block, which may use `await`, and then the tests that it defines."""
    namespace = example.namespace
    if isinstance(example.document, ModuleDocument):
        sys.modules[example.document.module.__name__] = example.document.module
    tests_before = find_tests(namespace)
    run_source(example)
    for name, test in find_tests(namespace).items():
        if test is not tests_before.get(name):
            run_awaitable(namespace, test())


def run_source(example: Example) -> None:
    """Run a block; tracebacks show the line numbers of the document."""
    padding = "\n" * (example.line + example.parsed.line_offset)
    code = compile(
        padding + example.parsed,
        example.path,
        "exec",
        flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT,
        dont_inherit=True,
    )
    if code.co_flags & inspect.CO_COROUTINE:
        run_awaitable(example.namespace, eval(code, example.namespace))  # noqa: S307 - our docs
    else:
        exec(code, example.namespace)  # noqa: S102 - our own documents


def find_tests(namespace: dict[str, Any]) -> dict[str, types.FunctionType]:
    """Find the test functions that a block has defined."""
    return {
        name: value
        for name, value in namespace.items()
        if name.startswith("test_") and isinstance(value, types.FunctionType)
    }


def run_awaitable(namespace: dict[str, Any], awaitable: object) -> None:
    """Run a coroutine on the event loop of its document; ignore anything else."""
    if not inspect.iscoroutine(awaitable):
        return
    if RUNNER not in namespace:
        namespace[RUNNER] = asyncio.Runner()
    namespace[RUNNER].run(awaitable)


def forget_document(namespace: dict[str, Any]) -> None:
    """Close the event loop of a document, and remove its module."""
    runner = namespace.pop(RUNNER, None)
    if runner is not None:
        runner.close()
    name = namespace.get("__name__")
    if str(name).endswith("_document"):
        sys.modules.pop(str(name), None)


class PythonInMarkdown(myst.PythonCodeBlockParser):
    """Finds ```python blocks; if a block begins with `>>>`, its output is compared."""

    def __init__(self) -> None:
        """Run blocks with `run_block`, because they may await."""
        super().__init__()
        self.codeblock_parser = myst.CodeBlockParser("python", run_block)


pytest_collect_file = (
    Sybil(
        parsers=[PythonInMarkdown(), myst.SkipParser()],
        pattern="*.md",
        excludes=["docs/_build/**"],
        document_types={".md": ModuleDocument},
        teardown=forget_document,
    )
    + Sybil(
        parsers=[
            rest.DocTestParser(),
            rest.CodeBlockParser("python", run_block),
            rest.SkipParser(),
        ],
        pattern="src/**/*.py",
        teardown=forget_document,
    )
).pytest()
