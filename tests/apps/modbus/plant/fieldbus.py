"""A controller and its clients on every transport that needs no cable."""

import asyncio
import contextlib
import ssl
import struct
import tempfile

from pymodbus import FramerType, ModbusDeviceIdentification
from pymodbus.client import (
    AsyncModbusTcpClient,
    AsyncModbusTlsClient,
    AsyncModbusUdpClient,
    ModbusTcpClient,
)
from pymodbus.datastore import (
    ModbusDeviceContext,
    ModbusSequentialDataBlock,
    ModbusServerContext,
    ModbusSparseDataBlock,
)
from pymodbus.exceptions import ConnectionException, ModbusException, ModbusIOException
from pymodbus.server import ModbusTcpServer, ModbusTlsServer, ModbusUdpServer

from plant import trust

HOST = "127.0.0.1"


def controller():
    device = ModbusDeviceContext(
        di=ModbusSequentialDataBlock(1, [True, False] * 8),
        co=ModbusSequentialDataBlock(1, [False] * 16),
        hr=ModbusSequentialDataBlock(1, list(range(100))),
        ir=ModbusSparseDataBlock({0: 17, 1: 42, 2: 99, 10: 5}),
    )
    return ModbusServerContext(devices={7: device}, single=False)


@contextlib.asynccontextmanager
async def serving(kind, **options):
    identity = ModbusDeviceIdentification(
        info_name={"VendorName": "Pyrmware", "ProductCode": "P1", "MajorMinorRevision": "0.7"}
    )
    server = kind(controller(), identity=identity, address=(HOST, 0), **options)
    await server.listen()
    transport = server.transport
    sockets = getattr(transport, "sockets", None) or [transport.get_extra_info("socket")]
    try:
        yield sockets[0].getsockname()[1]
    finally:
        await server.shutdown()


async def tiny():
    async with serving(ModbusTcpServer) as port:
        async with AsyncModbusTcpClient(HOST, port=port) as client:
            answer = await client.read_holding_registers(3, count=2, device_id=7)
            return {"registers": answer.registers}


async def full():
    report = {}
    async with serving(ModbusTcpServer) as port:
        async with AsyncModbusTcpClient(HOST, port=port) as client:
            report["tcp"] = await everything(client)
            report["refused"] = await refused(client)
        report["blocking"] = await asyncio.to_thread(blocking, port)
    async with serving(ModbusTcpServer, framer=FramerType.RTU) as port:
        async with AsyncModbusTcpClient(HOST, port=port, framer=FramerType.RTU) as client:
            report["rtu"] = await some(client)
    async with serving(ModbusUdpServer, framer=FramerType.ASCII) as port:
        async with AsyncModbusUdpClient(HOST, port=port, framer=FramerType.ASCII) as client:
            report["ascii"] = await some(client)
    report["tls"] = await encrypted()
    report["nobody"] = await nobody()
    return report


async def some(client):
    await client.write_register(5, 0xBEEF, device_id=7)
    read = await client.read_holding_registers(4, count=3, device_id=7)
    return read.registers


async def everything(client):
    def data(answer):
        assert not answer.isError(), answer
        # Whole bytes of them come back.
        return answer.registers or answer.bits[:5]

    to_device = {"device_id": 7}
    values = [
        (3.25, client.DATATYPE.FLOAT32),
        (-2, client.DATATYPE.INT64),
        ("pump", client.DATATYPE.STRING),
        ([1, 70000], client.DATATYPE.UINT32),
    ]
    converted = []
    for address, (value, kind) in enumerate(values):
        registers = client.convert_to_registers(value, kind)
        await client.write_registers(20 + 4 * address, registers, **to_device)
        read = await client.read_holding_registers(
            20 + 4 * address, count=len(registers), **to_device
        )
        converted.append(client.convert_from_registers(read.registers, kind))
    await client.write_coil(2, True, **to_device)
    await client.write_coils(4, [True, True], **to_device)
    await client.mask_write_register(address=9, and_mask=0x00F0, or_mask=0x0005, **to_device)
    both = await client.readwrite_registers(
        read_address=10, read_count=2, write_address=11, values=[5], **to_device
    )
    identity = await client.read_device_information(read_code=1, object_id=0, **to_device)
    echo = await client.diag_query_data(b"\x12\x34", **to_device)
    return {
        "converted": converted,
        "coils": data(await client.read_coils(2, count=5, **to_device)),
        "discrete": data(await client.read_discrete_inputs(0, count=5, **to_device)),
        "input": data(await client.read_input_registers(0, count=2, **to_device)),
        "masked": data(await client.read_holding_registers(9, count=1, **to_device)),
        "both": data(both),
        "identity": {key: value.decode() for key, value in identity.information.items()},
        "echo": echo.isError(),
    }


async def refused(client):
    seen = []
    for call in (
        client.read_holding_registers(500, count=1, device_id=7),
        client.read_input_registers(4, count=2, device_id=7),
        client.write_register(500, 1, device_id=7),
    ):
        answer = await call
        seen.append([answer.isError(), answer.exception_code])
    for wrong in (
        lambda: client.read_holding_registers(0, count=2000, device_id=7),
        lambda: client.write_register(0, 70000, device_id=7),
        lambda: client.convert_to_registers("text", client.DATATYPE.INT16),
    ):
        try:
            await wrong()
            seen.append("!! nothing is wrong")
        except (ModbusException, TypeError, ValueError, struct.error) as error:
            seen.append(type(error).__name__)
    return seen


def blocking(port):
    with ModbusTcpClient(HOST, port=port) as client:
        client.write_coil(0, True, device_id=7)
        seen = [client.read_coils(0, count=1, device_id=7).bits[0], client.connected]
    try:
        client.read_coils(0, count=1, device_id=8)
    except ModbusException as error:
        seen.append(type(error).__name__)
    return [*seen, client.connected]


async def encrypted():
    with tempfile.TemporaryDirectory() as folder:
        certificate, key = trust.write_certificate(folder)
        ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        ours.load_cert_chain(certificate, key)
        trusting = ssl.create_default_context(cafile=certificate)
    async with serving(ModbusTlsServer, sslctx=ours) as port:
        async with AsyncModbusTlsClient(HOST, port=port, sslctx=trusting) as client:
            return await some(client)


async def nobody():
    async with serving(ModbusTcpServer) as port:
        pass
    seen = []
    client = AsyncModbusTcpClient(HOST, port=port, retries=0, timeout=1, reconnect_delay=0)
    seen.append(await client.connect())
    try:
        await client.read_coils(0, device_id=7)
    except (ConnectionException, ModbusIOException) as error:
        seen.append(type(error).__name__)
    client.close()
    return seen
