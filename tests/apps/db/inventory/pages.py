import os

import jinja2
import jinja2.meta
import jinja2.sandbox
from jinja2 import DictLoader, Environment, FileSystemLoader, PackageLoader, StrictUndefined
from jinja2.sandbox import SandboxedEnvironment

from inventory.checks import check


@check
def loaders():
    folder = os.path.join(os.path.dirname(__file__), "templates")
    parts = [{"name": "screw", "amount": 3}, {"name": "<usb>", "amount": 1}]
    for loader in (PackageLoader("inventory"), FileSystemLoader(folder)):
        env = Environment(
            loader=loader, autoescape=True, trim_blocks=True, extensions=["jinja2.ext.do"]
        )
        template = env.get_template("list.txt")
        yield env.list_templates(), template.render(parts=parts), template.is_up_to_date
        yield env.select_template(["missing.txt", "list.txt"]).name
        try:
            env.get_template("missing.txt")
        except jinja2.TemplateNotFound as error:
            yield error.name
    try:
        PackageLoader("inventory", "no_such_folder")
    except ValueError as error:
        yield type(error).__name__


@check
def language():
    env = Environment(
        loader=DictLoader({"x": "{% for a in b %}{{ loop.index }}{{ a }}{% else %}-{% endfor %}"})
    )
    yield env.get_template("x").render(b="ab"), env.get_template("x").render()
    yield env.from_string(
        "{{ v | groupby('k') | list | length }} {{ '%.2f' | format(1.5) }}"
    ).render(v=[{"k": 1}])
    yield jinja2.meta.find_undeclared_variables(env.parse("{{ a }}{% set b = 1 %}{{ b }}"))
    try:
        Environment(undefined=StrictUndefined).from_string("{{ a.b }}").render()
    except jinja2.UndefinedError as error:
        yield str(error)
    try:
        env.from_string("line\n{% if %}")
    except jinja2.TemplateSyntaxError as error:
        yield error.lineno, str(error)
    try:
        SandboxedEnvironment().from_string("{{ ''.__class__.__mro__ }}").render()
    except jinja2.sandbox.SecurityError as error:
        yield str(error)


@check
def tracebacks():
    """Jinja rewrites tracebacks, so that they show the template's own lines."""
    env = Environment(loader=PackageLoader("inventory"))
    try:
        env.get_template("fails.txt").render(zero=0)
    except ZeroDivisionError as error:
        frame = error.__traceback__
        seen = []
        while frame:
            seen.append((os.path.basename(frame.tb_frame.f_code.co_filename), frame.tb_lineno))
            frame = frame.tb_next
        yield seen[-1], str(error)
