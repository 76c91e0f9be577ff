"""tls_relay.py client|server PORT CERTIFICATE KEY AUTHORITY [NAME]: puts TLS in front of programs that
speak none of it, with Python's ssl. `client` takes clear text and hands it on to 127.0.0.1:PORT in TLS,
where NAME must answer; `server` takes TLS, of clients with a certificate, and hands it on in clear text.
Says `listening PORT`, and for each connection `peer NAME`, or why there was none."""

import asyncio
import ssl
import sys


def identity(writer):
    names = writer.get_extra_info("peercert").get("subjectAltName", ())
    return names[0][1] if names else "without a name"


async def pump(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


async def main():
    side, port, certificate, key, authority, *name = sys.argv[1:]
    towards = ssl.Purpose.SERVER_AUTH if side == "client" else ssl.Purpose.CLIENT_AUTH
    context = ssl.create_default_context(towards, cafile=authority)
    context.load_cert_chain(certificate, key)
    context.verify_mode = ssl.CERT_REQUIRED
    inner = {"ssl": context, "server_hostname": name[0]} if side == "client" else {}
    outer = {} if side == "client" else {"ssl": context}

    async def serve(reader, writer):
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", int(port), **inner)
        except OSError as failure:
            print("no connection:", failure, flush=True)
            writer.close()
            return
        print("peer", identity(far_writer if side == "client" else writer), flush=True)
        await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0, **outer)
    print("listening", server.sockets[0].getsockname()[1], flush=True)
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # of connections that end hard
    await server.serve_forever()


asyncio.run(main())
