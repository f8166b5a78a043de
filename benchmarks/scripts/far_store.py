"""Stand between a client and a server of this machine as if a network were: whatever passes is late by half a round trip, each way.

Arguments: PORT DELAY_MS; PORT is that of the server, DELAY_MS the round trip. Prints the port to connect to.
A new connection costs a round trip more, as TCP does.
"""

from __future__ import annotations

import asyncio
import sys

CHUNK_BYTES = 256 << 10
IN_FLIGHT = 128
"""Chunks that are on their way at once, in each direction of a connection: more than the delay lets a fast link hold."""


async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay_s: float, first_s: float) -> None:
    """Hand on what comes, in its order, each chunk after the delay; the first one later."""
    loop = asyncio.get_running_loop()
    way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(IN_FLIGHT)

    async def deliver() -> None:
        while True:
            due_s, data = await way.get()
            await asyncio.sleep(max(0.0, due_s - loop.time()))
            if not data:
                writer.close()
                return
            writer.write(data)
            await writer.drain()

    delivering = asyncio.create_task(deliver())
    due_s = loop.time() + first_s
    try:
        while True:
            data = await reader.read(CHUNK_BYTES)
            due_s = max(due_s, loop.time() + delay_s)
            await way.put((due_s, data))
            if not data:
                break
        await delivering
    except ConnectionError:
        delivering.cancel()
        writer.close()


async def main(port: int, delay_ms: float) -> None:
    """Serve until killed."""
    delay_s = delay_ms / 1000

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, to_there = await asyncio.open_connection("127.0.0.1", port, limit=CHUNK_BYTES)
        await asyncio.gather(carry(reader, to_there, delay_s / 2, 1.5 * delay_s), carry(there, writer, delay_s / 2, 0.0), return_exceptions=True)

    server = await asyncio.start_server(connected, "127.0.0.1", 0, limit=CHUNK_BYTES)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2])))
