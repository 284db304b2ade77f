"""`has_selection & Condition(self.method)`: the module's filter remembers the combination, and with
it the method's object: a whole session for each client.
"""

import asyncio

from prompt_toolkit import PromptSession
from prompt_toolkit.application import create_app_session
from prompt_toolkit.filters import Condition, has_selection
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.key_binding import KeyBindings
from prompt_toolkit.output import DummyOutput

from .work import STEPS, steps_of_loop


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
        await Client().session.prompt_async("> ")


async def serve_all():
    async for step in steps_of_loop():
        if step % STEPS == 0:
            await serve()


def run():
    asyncio.run(serve_all())
