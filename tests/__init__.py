"""Tests of wares, through its public API only."""
