"""Plugins make themselves known in several ways."""

HANDLERS = {}
COMMANDS = []


def handler(name):
    def note(function):
        HANDLERS[name] = function
        return function

    return note


def command(function):
    COMMANDS.append(function.__name__)
    return function


class Plugin:
    plugins = []

    def __init_subclass__(cls):
        Plugin.plugins.append(cls.__name__)


def make(name):
    HANDLERS[name] = None
    return name
