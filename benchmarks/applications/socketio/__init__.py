"""The seven nodes with an async session in a Socket.IO event handler.

No peer has an adapter for python-socketio, so only wares and the hand-written handler take part.
"""

MODULES = ("by_hand", "wares")
EVENT = "ask"
