"""The tests of the bookshop: how to test an application that uses wares."""
