"""The tests of FastDepends that fail on wares on purpose, with the reasons.

The names are those of FastDepends 3.0.8. Parametrized tests are named once.
"""

_ARGUMENTS = (
    "test_args_kwargs_1",
    "test_args_kwargs_2",
    "test_args_kwargs_4",
    "test_args_kwargs_5",
)

_BY_POSITION = (
    "test_class_depends",
    "test_empty_main_body",
    "test_empty_main_body_multiple_args",
    "test_ignore_depends_if_setted_manual",
)

#: Tests of what wares does differently, by reason; docs/coming-from-fastdepends.md lists them.
OTHERWISE: dict[str, dict[str, tuple[str, ...]]] = {
    "an argument that only a dependency takes is passed by name": {
        "tests.async.test_depends": _BY_POSITION,
        "tests.sync.test_depends": _BY_POSITION,
        "tests.test_typealiastype_depends.test_typealiastype_depends": (
            "test_typealiastype_depends_async",
            "test_typealiastype_depends_sync",
        ),
    },
    "the annotation of *args is that of each argument": {
        "tests.async.test_cast": _ARGUMENTS,
        "tests.sync.test_cast": _ARGUMENTS,
    },
    "an unknown argument is a TypeError": {
        "tests.async.test_cast": ("test_skip_not_required",),
        "tests.async.test_depends": ("test_extra",),
        "tests.pydantic_specific.async.test_cast": ("test_pydantic_field_types_casting",),
        "tests.pydantic_specific.sync.test_cast": ("test_pydantic_field_types_casting",),
        "tests.sync.test_cast": ("test_skip_not_required",),
    },
    "an async dependency of a sync function is an AsyncServiceError, of an override at the call": {
        "tests.sync.test_depends": (
            "test_async_depends",
            "test_async_extra",
            "test_async_extra_depends",
        ),
        "tests.test_overrides": (
            "test_sync_by_async_override",
            "test_sync_by_async_override_in_extra",
        ),
    },
    "Depends has one option for casting": {
        "tests.async.test_depends.TestSerializer": ("test_not_cast",),
        "tests.sync.test_depends.TestSerializer": ("test_not_cast",),
    },
    "overrides belong to a registry, which has no list of them": {
        "tests.test_overrides": ("test_clear_overrides",),
    },
}
