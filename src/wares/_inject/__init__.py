"""Functions whose parameters a container fills: `Depends`, `Inject`, `inject`, `apply_types`."""
