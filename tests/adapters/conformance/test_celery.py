"""Celery, with a worker in this process whose tasks run in threads."""

import contextlib

from celery import Task
from celery.app.task import Context

from tests.adapters.celery_worker import make_app, result_of, running
from wares import current_container
from wares.celery import close_registry, init_app
from wares.testing import AdapterConformance


class TestCelery(AdapterConformance):
    adapter = "wares.celery"
    makes_eager = False
    framework = "celery"
    given = (Task, Context)
    has_async_services = False

    @contextlib.contextmanager
    def serve(self, registry, work):
        app = make_app()
        init_app(app, registry=registry)
        task = self.define(app, work)
        try:
            with running(app):
                yield task
        except SystemExit as error:
            raise RuntimeError("the worker did not start") from error
        finally:
            close_registry(app)

    def define(self, app, work):
        @app.task(shared=False)
        def do():
            return work.run(current_container())

        return do

    def perform(self, served):
        result_of(served)


class TestAsynchronousTasks(TestCelery):
    has_async_services = True

    def define(self, app, work):
        @app.task(shared=False)
        async def do():
            return await work.arun(current_container())

        return do
