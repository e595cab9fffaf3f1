"""Two bad sites: ``python -m tools.bench.broker_bad PORT PORT CHAIN KEY``.

Both agree on TLS and take a request. The one on the first port then says nothing for ever, the one
on the second sends a page of a kilobyte a byte at a time, a byte a second.
"""

from __future__ import annotations

import asyncio
import ssl
import sys

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 1000\r\n\r\n"


async def _hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.read(65536):
        pass
    writer.close()


async def _drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(_HEAD)
        for _ in range(1000):
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(1)
    except (OSError, asyncio.IncompleteReadError):
        pass  # whoever asked has gone
    finally:
        writer.close()


async def main(hanging: int, dripping: int, chain: str, key: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    servers = [
        await asyncio.start_server(act, "127.0.0.1", port, ssl=context)
        for act, port in ((_hang, hanging), (_drip, dripping))
    ]
    await asyncio.gather(*(one.serve_forever() for one in servers))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]))
