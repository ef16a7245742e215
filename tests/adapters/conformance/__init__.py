"""The tests of `wares.testing.AdapterConformance`, for every adapter."""
