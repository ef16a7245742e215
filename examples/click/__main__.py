"""Runs the command line."""

from examples.click.application import main

main()
