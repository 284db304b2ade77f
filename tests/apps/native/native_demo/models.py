import datetime
import enum
import ipaddress
import pickle
from decimal import Decimal
from typing import Annotated, Generic, Literal, TypeVar

import annotated_types
import pydantic
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator

from native_demo.checks import check

Item = TypeVar("Item")


class Parity(str, enum.Enum):
    EVEN = "even"
    ODD = "odd"


class Port(BaseModel):
    """A serial port."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["serial"] = "serial"
    path: Annotated[str, annotated_types.Len(1, 20)]
    rate: int = Field(9600, gt=0, description="baud")
    parity: Parity = Parity.EVEN

    @field_validator("path")
    @classmethod
    def absolute(cls, value):
        if not value.startswith("/"):
            raise ValueError("is not absolute")
        return value


class Socket(BaseModel):
    kind: Literal["socket"] = "socket"
    address: ipaddress.IPv4Address
    timeout: datetime.timedelta = datetime.timedelta(seconds=5)


class Device(BaseModel):
    name: str
    link: Annotated[Port | Socket, Field(discriminator="kind")]
    offset: Decimal = Decimal("0.0")
    children: list["Device"] = []
    seen: datetime.datetime | None = None

    @pydantic.computed_field
    def label(self) -> str:
        return f"{self.name}/{self.link.kind}"


class Page(BaseModel, Generic[Item]):
    items: list[Item]


DEVICE = {
    "name": "boiler",
    "link": {"kind": "serial", "path": "/dev/ttyS0", "rate": "300"},
    "children": [{"name": "pump", "link": {"kind": "socket", "address": "10.0.0.1"}}],
    "seen": "2024-02-29T12:00:00Z",
}


@check
def validation():
    device = Device.model_validate(DEVICE)
    yield device, device.model_dump(mode="json")
    yield (
        device.model_dump_json(exclude_none=True),
        Device.model_validate_json(device.model_dump_json(exclude={"label"})) == device,
    )
    yield TypeAdapter(dict[int, list[Decimal]]).validate_python({"1": ["2.50"]})
    yield Page[Port].__name__, Page[Port](items=[{"path": "/dev/x"}])
    try:
        device.link.rate = 1
    except ValidationError as error:
        yield error.errors(include_url=False)


@check
def refusals():
    wrong = {
        "name": 1,
        "link": {"kind": "serial", "path": "x", "rate": 0, "extra": 1},
        "seen": "no",
    }
    try:
        Device.model_validate(wrong)
    except ValidationError as error:
        yield error.error_count(), error.title
        for entry in error.errors(include_url=False, include_context=False):
            yield entry["loc"], entry["type"], entry["msg"]
    try:
        Device.model_validate({"name": "x", "link": {"kind": "usb"}})
    except ValidationError as error:
        yield str(error).splitlines()[:3]


@check
def schemas():
    yield Device.model_json_schema()
    yield Port.model_json_schema(mode="serialization")["description"]


@check
def pickling():
    device = Device.model_validate(DEVICE)
    yield pickle.loads(pickle.dumps(device)) == device, pickle.loads(pickle.dumps(Port)) is Port
    yield device.model_copy(update={"name": "other"}).label
    made = pydantic.create_model("Made", value=(int, ...))
    yield made(value="3"), made.__module__


@check
def dataclasses():
    @pydantic.dataclasses.dataclass
    class Point:
        x: int
        y: int = 0

    yield Point("1"), pydantic.validate_call(lambda x: x)(1), pydantic.VERSION.split(".")[0]

    @pydantic.validate_call
    def scale(value: int, by: float = 2.0) -> float:
        return value * by

    yield scale("3")
    try:
        scale("x")
    except ValidationError as error:
        yield error.errors(include_url=False)[0]["type"]
