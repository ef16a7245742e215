"""The tests of svcs that fail on wares on purpose, with the reasons.

The names are those of svcs 26.2, renamed. Parametrized tests are named once.
"""

#: Tests of private names, which svcs does not promise.
PRIVATE: dict[str, tuple[str, ...]] = {
    "tests.integrations.test_flask.TestFlask": (
        "test_local_proxy_container",
        "test_svcs_from",
    ),
    "tests.integrations.test_flask.TestNonContextHelpers": (
        "test_register_factory_helper",
        "test_register_value_helper",
    ),
    "tests.test_autowire": ("test_fake_evaluate_forward_ref_passthru",),
    "tests.test_container.TestServicePing": ("test_ping",),
    "tests.test_integration": (
        "test_cleanup_called",
        "test_get_pings",
        "test_local_registry_is_lazy_but_only_once",
        "test_local_value_overrides_global_value",
    ),
    "tests.test_integration.TestAsync": ("test_async_cleanup",),
    "tests.test_registry.TestFullName": ("test_object",),
    "tests.test_registry.TestRegistry": ("test_close_closes",),
    "tests.test_registry.TestTakesContainer": (
        "test_annotation",
        "test_annotation_str",
        "test_call_works",
        "test_ignores_invalid_sigs",
        "test_name",
        "test_nope",
        "test_signature_fails",
    ),
}

#: Tests of what wares does differently, by reason; docs/migrating-from-svcs.md lists the reasons.
OTHERWISE: dict[str, dict[str, tuple[str, ...]]] = {
    "adapters have no get, aget and get_pings of their own": {
        "tests.integrations.test_aiohttp.TestAIOHTTP": (
            "test_client_pool_register_value",
            "test_get_pings",
            "test_registrations",
        ),
        "tests.integrations.test_flask.TestFlask": (
            "test_cache",
            "test_cleanup_added",
            "test_get_pingeable",
            "test_not_found",
            "test_overwrite_factory",
            "test_overwrite_value",
            "test_register_value_multiple",
        ),
        "tests.integrations.test_starlette": ("test_get_pings", "test_integration"),
    },
    "there is no get_abstract": {
        "tests.integrations.test_flask.TestFlask": ("test_register_factory_get_abstract",),
        "tests.test_integration": ("test_register_factory_get_abstract",),
        "tests.test_integration.TestAsync": ("test_aget_abstract_works_with_value",),
    },
    "get of several keys gives a tuple": {
        "tests.test_integration": ("test_register_value_multiple",),
        "tests.test_integration.TestAsync": ("test_aget_works_with_value",),
    },
    "there is no RegisteredService": {
        "tests.test_registry.TestRegisteredService": ("test_name", "test_repr"),
        "tests.test_registry.TestRegistry": (
            "test_async_generators_become_context_managers",
            "test_generators_become_context_managers",
            "test_iterate",
        ),
        "tests.test_typing": ("test_get_type_hints",),
    },
    "cleanups see the exception by default": {
        "tests.test_container.TestContainer": (
            "test_async_suppress_context_exit_async_factory_suppress",
            "test_suppress_context_exit_suppress",
        ),
    },
    "what cleanups raise is raised": {
        "tests.test_integration": ("test_close_resilient",),
        "tests.test_integration.TestAsync": ("test_aclose_resilient",),
        "tests.test_registry.TestRegistry": (
            "test_aclose_logs_failures",
            "test_close_logs_failures",
        ),
    },
    "a close that would leave async cleanups out raises": {
        "tests.integrations.test_flask.TestFlask": ("test_teardown_warns_on_async_on_close",),
        "tests.test_registry.TestRegistry": ("test_close_warns_about_async",),
    },
    "autowire takes generators": {
        "tests.test_autowire.TestAAutowireFunction": (
            "test_aautowire_rejects_generator_factories",
        ),
        "tests.test_autowire.TestAutowireFunction": (
            "test_autowire_rejects_generator_factories",
        ),
    },
    "autowire calls what has no signature, and refuses at once what nothing can fill": {
        "tests.test_autowire.TestAAutowireFunction": (
            "test_aautowire_unannotated_required_raises",
        ),
        "tests.test_autowire.TestAutowireFunction": (
            "test_autowire_unannotated_required_raises",
            "test_autowire_without_signature_raises",
        ),
    },
    "wording of errors, warnings, log records and reprs is our own": {
        "tests.integrations.test_fastapi": (
            "test_get_registry_after_shutdown",
            "test_get_registry_no_svcs",
            "test_get_registry_test_client_no_svcs",
            "test_get_registry_type_hints",
        ),
        "tests.integrations.test_starlette": (
            "test_get_registry_after_shutdown",
            "test_get_registry_composed_lifespans",
            "test_get_registry_no_svcs",
            "test_get_registry_test_client_no_svcs",
            "test_get_registry_type_hints",
        ),
        "tests.test_container.TestContainer": ("test_gc_warning", "test_repr"),
        "tests.test_integration": ("test_get_on_async_factory_raises_type_error",),
        "tests.test_registry.TestRegistry": (
            "test_gc_warning",
            "test_register_factory_logs",
            "test_register_value_logs",
            "test_repr_counts",
            "test_repr_empty",
        ),
    },
}
