"""Every adapter, held to what `wares.testing.AdapterConformance` says."""
