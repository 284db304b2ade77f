"""The leak that is easily made with prompt_toolkit: a filter remembers what it was combined
with, and so a method of the client, and so the client's session.
"""

import weakref

from prompt_toolkit import PromptSession
from prompt_toolkit.application import create_app_session
from prompt_toolkit.filters import Condition, has_selection
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.key_binding import KeyBindings
from prompt_toolkit.output import DummyOutput

from .ways import COUNT


class Client:
    def __init__(self):
        bindings = KeyBindings()
        bindings.add("c-t", filter=has_selection & Condition(self.may_copy))(print)
        self.session = PromptSession(key_bindings=bindings)

    def may_copy(self):
        return True


async def serve():
    with create_pipe_input() as typed, create_app_session(input=typed, output=DummyOutput()):
        typed.send_text("hello\n")
        client = Client()
        await client.session.prompt_async("> ")
        return weakref.ref(client.session)


async def leak():
    """Weak references to the sessions of clients that have left."""
    return [await serve() for _ in range(COUNT)]
