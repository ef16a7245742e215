"""The seven nodes with an async session in a Socket.IO event handler.

No peer has an adapter for python-socketio, so wares is alone with the hand-written handler.
"""

MODULES = ("by_hand", "wares")
EVENT = "ask"
