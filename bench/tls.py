"""What TLS costs: a call that goes out in TLS and one that comes in by it, full and resumed
handshakes, and idle connections. Calls go through two routers, the first of which speaks TLS to the
second. With `envoy` on the PATH the same is measured with two Envoys."""

import argparse
import concurrent.futures
import contextlib
import os
import shutil
import socket
import ssl
import statistics
import subprocess

import memory
from peers import Echo, Envoy, Load, Trestle
from processes import Failed, run

NAME = "bench.example"
CLIENTS = 16  # that shake hands at one time
VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
KEYS = {"P-256": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
        "RSA-2048": ["-newkey", "rsa:2048"]}


def parse():
    p = argparse.ArgumentParser(prog="script/bench --tls", description=__doc__)
    p.add_argument("--workloads", default="64/16/1,65536/16/1", help="bytes/connections/in flight")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--seconds", type=float, default=2, help="of a window (2)")
    p.add_argument("--handshakes", type=int, default=2000, help="of each kind and round (2000)")
    p.add_argument("--idle", type=int, default=1000, help="idle connections (1000)")
    p.add_argument("--key", choices=KEYS, default="P-256", help="of the certificate (P-256)")
    p.add_argument("--pin", type=int, help="run everything on this core")
    p.add_argument("--no-envoy", action="store_true")
    p.add_argument("--bin", default="build/bin", help=argparse.SUPPRESS)
    options = p.parse_args()
    options.bin, options.max_in_flight = os.path.abspath(options.bin), 1
    return options


def make_certificate(folder, key):
    cert = os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-nodes", *KEYS[key], "-days", "2", "-subj",
                    f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}", "-out", cert[0],
                    "-keyout", cert[1]], check=True, stderr=subprocess.DEVNULL)
    return cert


class Router(Trestle):
    """`side`: clear, front (TLS to its backend), rear (TLS from its clients)."""

    def __init__(self, folder, side, cert):
        super().__init__(f"trestle-{side}", folder, "framed", "framed", 1)
        self.side, self.cert = side, cert

    def router(self, options):
        router = super().router(options)
        if self.side == "front":
            router.setdefault("client", {})["tls"] = {"commonName": NAME,
                                                      "trustCertsBundle": self.cert[0]}
        elif self.side == "rear":
            router["servers"][0]["tls"] = {"certPath": self.cert[0], "keyPath": self.cert[1]}
        return router


TLS_SOCKET = "transport_socket: {name: envoy.transport_sockets.tls, typed_config: {\"@type\": "\
    "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.%s, "
UPSTREAM = TLS_SOCKET % "UpstreamTlsContext" + "sni: " + NAME + ", common_tls_context: "\
    "{tls_params: {tls_maximum_protocol_version: TLSv1_3}, validation_context: "\
    "{trusted_ca: {filename: %s}}}}}"
DOWNSTREAM = TLS_SOCKET % "DownstreamTlsContext" + "common_tls_context: {tls_certificates: "\
    "[{certificate_chain: {filename: %s}, private_key: {filename: %s}}]}}}"


class EnvoyWithTls(Envoy):
    """The same of Envoy."""

    def __init__(self, folder, side, cert):
        super().__init__(folder)
        self.name, self.side, self.cert = f"envoy-{side}", side, cert

    def template(self):
        text = super().template()
        if self.side == "front":
            at = "    load_assignment:"
            return text.replace(at, f"    {UPSTREAM % self.cert[0]}\n{at}")
        at = "    - filters:"
        return text.replace(at, f"    - {DOWNSTREAM % self.cert}\n      filters:")


def handshake(port, context, session):
    """One connection with a call on it; its session, for the next one."""
    with socket.create_connection(("127.0.0.1", port)) as plain:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with context.wrap_socket(plain, server_hostname=NAME, session=session) as secure:
            if session and not secure.session_reused:
                raise Failed("a session was not resumed")
            memory.call(secure)  # a ticket of TLS 1.3 comes before its reply
            return secure.session


def handshakes_per_second(options, peer, version, resumed):
    """Of the CPU time of `peer`."""
    context = ssl.create_default_context(cafile=peer.cert[0])
    context.minimum_version = context.maximum_version = VERSIONS[version]
    each = options.handshakes // CLIENTS

    def shake(session):
        for _ in range(each):
            session = handshake(peer.port, context, session if resumed else None)

    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as clients:
        sessions = [handshake(peer.port, context, None) for _ in range(CLIENTS)]
        before = peer.cpu_seconds()
        list(clients.map(shake, sessions))
        return each * CLIENTS / (peer.cpu_seconds() - before)


def us_per_call(options, driver, front, rear, workload):
    """CPU time of each of the two for one call."""
    payload, connections, in_flight = workload.split("/")
    args = ["--payload", payload, "--connections", connections, "--in-flight", in_flight]
    driver.run(front, "--warmup", 0.3, "--seconds", 0.2, *args)
    before = front.cpu_seconds(), rear.cpu_seconds()
    answer = driver.run(front, "--warmup", 0, "--seconds", options.seconds, *args)
    after = front.cpu_seconds(), rear.cpu_seconds()
    return [(b - a) * 1e6 / answer["calls"] for a, b in zip(before, after)]


class Pair:
    """Two of a kind, one behind the other."""

    def __init__(self, name, kind, sides, folder, cert):
        self.name = name
        self.front, self.rear = (kind(folder, side, cert) for side in sides)
        if sides[0] == sides[1]:
            self.rear.name += "-2"
        self.calls, self.shakes = {}, {}

    def start(self, options, backend, closing):
        for peer, behind in ((self.rear, backend), (self.front, self.rear)):
            closing.callback(peer.stop)
            peer.start(options, behind)


def idle_kib(options, pair):
    """Memory of one idle connection at the rear, once a call went through it."""
    context = ssl.create_default_context(cafile=pair.rear.cert[0])
    before = memory.settled(pair.rear)
    with contextlib.ExitStack() as closing:
        for _ in range(options.idle):
            plain = closing.enter_context(socket.create_connection(("127.0.0.1", pair.rear.port)))
            if "clear" not in pair.name:
                plain = closing.enter_context(context.wrap_socket(plain, server_hostname=NAME))
            memory.call(plain)
        return (memory.settled(pair.rear) - before) / options.idle


def measure(options, folder, closing):
    memory.raise_bound_of_descriptors(2 * options.idle + 2000)
    cert = make_certificate(folder, options.key)
    driver, backend = Load(options), Echo(folder, "framed")
    closing.callback(driver.stop)
    closing.callback(backend.stop)
    backend.start(options)
    pairs = [Pair("trestle, clear", Router, ("clear", "clear"), folder, cert),
             Pair("trestle", Router, ("front", "rear"), folder, cert)]
    if shutil.which("envoy") and not options.no_envoy:
        pairs.append(Pair("envoy", EnvoyWithTls, ("front", "rear"), folder, cert))
    for pair in pairs:
        pair.start(options, backend, closing)
    for _ in range(options.rounds):
        for pair in pairs:
            for workload in options.workloads.split(","):
                figures = us_per_call(options, driver, pair.front, pair.rear, workload)
                pair.calls.setdefault(workload, []).append(figures)
            for version in VERSIONS if "clear" not in pair.name else ():
                for resumed in (False, True):
                    pair.shakes.setdefault((version, resumed), []).append(
                        handshakes_per_second(options, pair.rear, version, resumed))
    show(options, pairs)


def show(options, pairs):
    print(f"# certificate {options.key}; medians of {options.rounds} rounds")
    print(f"{'CPU us/call':16}" + "".join(f"{w + ' out':>18}{w + ' in':>18}"
                                          for w in pairs[0].calls))
    for pair in pairs:
        print(f"{pair.name:16}" + "".join(
            f"{statistics.median(side):18.2f}"
            for figures in pair.calls.values() for side in zip(*figures)))
    print(f"\n{'handshakes/CPU s':16}" + "".join(
        f"{'TLS ' + version + (' resumed' if resumed else ' full'):>18}"
        for version, resumed in pairs[1].shakes))
    for pair in pairs[1:]:
        print(f"{pair.name:16}" + "".join(f"{statistics.median(runs):18.0f}"
                                          for runs in pair.shakes.values()))
    print(f"\n# memory of an idle connection of a client, of {options.idle}, after a call")
    for pair in pairs:
        print(f"{pair.name:16}{idle_kib(options, pair):9.1f} KiB")


def main():
    options = parse()
    run(options, measure)


if __name__ == "__main__":
    main()
