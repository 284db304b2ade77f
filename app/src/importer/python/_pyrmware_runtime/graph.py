"""A small object graph, which the launcher walks before its first snapshot of memory: what the walk
finds in it must be `EXPECTED`. It has one of everything that the walk knows a name for.
"""

from _functools import partial

kept = {}


class Leaf:
    """What is looked for."""


class Plain:
    def __init__(self, first, second=None):
        self.first = first
        if second is not None:
            self.second = second

    def method(self):
        return self.first


class Slotted:
    __slots__ = ("empty", "slot")

    def __init__(self, slot):
        self.slot = slot


class Holder:
    attribute = None


def _generator(first, second):
    if second is None:
        unbound = 1
    bound = Leaf()
    yield first, second
    del unbound, bound


async def _coroutine():
    mine = Leaf()
    await _inner()
    del mine


class _Wait:
    def __await__(self):
        yield


async def _inner():
    inside = Leaf()
    await _Wait()
    del inside


def _closure():
    other, captured = None, Leaf()

    def function():
        return other, captured

    return function


def _traceback():
    lost = Leaf()
    raise ValueError(id(lost))


def probe():
    """A suspended generator, its frame and code, an instance, and what both hold."""
    first, second = Leaf(), Leaf()
    generator = _generator(first, second)
    next(generator)
    return generator, generator.gi_frame, generator.gi_code, Plain(first, second), first, second


def build():
    generator = _generator(1, 2)
    next(generator)
    coroutine = _coroutine()
    coroutine.send(None)
    with_dict = Plain(None)
    vars(with_dict)["third"] = Leaf()
    Holder.attribute = Leaf()
    try:
        _traceback()
    except ValueError as error:
        raised = error
        raised.__traceback__ = error.__traceback__.tb_next
    kept.update(
        inline=Plain(Leaf()),
        dict=with_dict,
        slots=Slotted(Leaf()),
        list=[[Leaf()]],
        tuple=(None, Leaf()),
        nested={7: {"text": Leaf()}},
        key={Leaf(): None},
        set={Leaf()},
        closure=_closure(),
        default=partial(Leaf, Leaf()),
        method=Plain(Leaf()).method,
        generator=generator,
        coroutine=coroutine,
        raised=raised,
    )


def clear():
    kept.clear()
    Holder.attribute = None


EXPECTED = (
    "graph.kept{'inline'}<Plain>.first",
    "graph.kept{'dict'}<Plain>.third",
    "graph.kept{'slots'}<Slotted>.slot",
    "graph.kept{'list'}[][]",
    "graph.kept{'tuple'}[]",
    "graph.kept{'nested'}{<int>}{'text'}",
    "graph.kept{'key'}{key}",
    "graph.kept{'set'}{item}",
    "graph.kept{'closure'}<function>.__closure__.captured",
    "graph.kept{'default'}<partial>.args[]",
    "graph.kept{'method'}<method>.__self__<Plain>.first",
    "graph.kept{'generator'}<_generator()>.bound",
    "graph.kept{'coroutine'}<_coroutine()>.mine",
    "graph.kept{'coroutine'}<_coroutine()> awaits <_inner()>.inside",
    "graph.kept{'raised'}<ValueError>.__traceback__<traceback>.tb_frame<_traceback()>.lost",
    "graph.Holder.attribute",
)
