"""A net of values that depend on each other: attributes, methods, inheritance."""

import abc
import enum
import weakref


class Strength(enum.IntEnum):
    WEAK = 0
    STRONG = 1


class Value:
    def __init__(self, number):
        self.number = number
        self.users = []
        self.strength = Strength.WEAK


class Rule(abc.ABC):
    __slots__ = ("__weakref__", "inputs", "output")

    def __init__(self, output, *inputs):
        self.output, self.inputs = output, inputs
        for value in inputs:
            value.users.append(weakref.ref(self))

    @abc.abstractmethod
    def result(self): ...

    def apply(self):
        number = self.result()
        if self.output.number == number:
            return ()
        self.output.number = number
        self.output.strength = max(value.strength for value in self.inputs)
        return [rule for rule in (user() for user in self.output.users) if rule is not None]


class Sum(Rule):
    __slots__ = ()

    def result(self):
        return sum(value.number for value in self.inputs)


class Scaled(Rule):
    __slots__ = ("factor",)

    def __init__(self, output, value, factor):
        super().__init__(output, value)
        self.factor = factor

    def result(self):
        return self.inputs[0].number * self.factor % 1009


def run(times=60):
    values = [Value(number) for number in range(60)]
    rules = [Scaled(values[at + 1], values[at], 3) for at in range(0, 40)]
    rules += [Sum(values[at], values[at - 40], values[at - 30]) for at in range(45, 60)]
    for number in range(times):
        values[0].number = number
        values[0].strength = Strength(number % 2)
        waiting = [rules[0]]
        while waiting:
            waiting.extend(waiting.pop().apply())
    return sum(value.number + value.strength for value in values)
