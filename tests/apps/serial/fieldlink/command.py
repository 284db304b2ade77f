"""The command line."""

import click
import serial
from serial.tools import list_ports

SPEED = click.Choice(["9600", "19200", "115200"])


@click.group(context_settings={"auto_envvar_prefix": "FIELDLINK"})
@click.option("--verbose", is_flag=True, help="Say what is sent.")
@click.version_option("0.4")
@click.pass_context
def fieldlink(context, verbose):
    """Talk to devices on serial lines."""
    context.obj = verbose


@fieldlink.command()
@click.argument("url")
@click.argument("text")
@click.option("--speed", type=SPEED, default="9600", show_default=True, help="Bits per second.")
@click.option("--end", default="\n", help="What a line ends with.")
@click.option("--timeout", type=click.FloatRange(0, 60), default=5)
@click.pass_obj
def ask(verbose, url, text, speed, end, timeout):
    """Send TEXT to URL and print the answer."""
    try:
        with serial.serial_for_url(url, baudrate=int(speed), timeout=timeout) as line:
            if verbose:
                click.secho(f"> {text}", fg="green", err=True)
            line.write((text + end).encode())
            answer = line.read_until(end.encode())
    except (serial.SerialException, ValueError) as error:
        raise click.ClickException(f"{url}: {error}") from error
    click.echo(answer.decode().removesuffix(end))


@fieldlink.command()
@click.argument("source", type=click.File("rb"))
@click.option("--yes", is_flag=True)
def load(source, yes):
    """Send a file to a device, after a question."""
    data = source.read()
    if not yes:
        click.confirm(f"Send {len(data)} bytes?", abort=True)
    address = click.prompt("Address", type=int, default=1)
    with serial.serial_for_url("loop://", timeout=5) as line:
        chunks = [data[start : start + 16] for start in range(0, len(data), 16)]
        with click.progressbar(chunks, label=f"Device {address}") as progress:
            echoed = b"".join(line.read(line.write(chunk)) for chunk in progress)
    click.echo("same" if echoed == data else "different")


@fieldlink.command()
@click.argument("pattern", default=".")
def ports(pattern):
    """List serial ports."""
    for port in sorted(list_ports.grep(pattern)):
        click.echo(f"{port.device}\t{port.description}")
