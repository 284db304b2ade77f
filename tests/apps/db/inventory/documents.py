import datetime
import pkgutil

import yaml

from inventory.checks import check

try:
    from yaml import CSafeDumper as Dumper
    from yaml import CSafeLoader as Loader
except ImportError:
    from yaml import SafeDumper as Dumper
    from yaml import SafeLoader as Loader


class Limit(yaml.YAMLObject):
    yaml_tag = "!limit"
    yaml_loader = [Loader]
    yaml_dumper = Dumper

    def __init__(self, low, high):
        self.low, self.high = low, high


@check
def reading():
    value = yaml.load(pkgutil.get_data("inventory", "defaults.yaml"), Loader)
    limit = value.pop("limit")
    yield value, (limit.low, limit.high), Loader.__name__, yaml.__with_libyaml__
    yield (
        yaml.safe_load("a: [1, 0x10, 1e3, yes, ~, 2024-02-29]"),
        list(yaml.safe_load_all("1\n---\n2")),
    )
    for loader in (Loader, yaml.SafeLoader):
        try:
            yaml.load("a: [1, 2\nb: 3", loader)
        except yaml.YAMLError as error:
            yield type(error).__name__, error.problem_mark.line, error.problem


@check
def writing():
    value = {
        "b": [1, None, "ü", "two\nlines\n"],
        "a": datetime.date(2024, 2, 29),
        "limit": Limit(1, 2),
    }
    for flow in (False, None, True):
        yield yaml.dump(value, Dumper=Dumper, allow_unicode=True, default_flow_style=flow)
    shared = ["x"]
    yield yaml.dump([shared, shared], Dumper=yaml.SafeDumper)
