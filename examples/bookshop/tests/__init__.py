"""The tests of the shop: how one tests an application that is wired by wares."""
