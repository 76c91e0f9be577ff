"""A router that is told to stop drains its mux sessions: calls in flight finish, new ones go
elsewhere."""

import unittest

import mux_wire as mux
from bridges import PATIENT_MUX
from fake_backend import FakeBackend
from fake_mux import FakeMux
from mux_client import MuxClient
from router_process import Router, refuses, until


class Drain(unittest.TestCase):
    backends = ("plain", "muxed")

    def start(self, **top):
        self.plain, self.muxed = FakeBackend("plain"), FakeMux("muxed")
        configs = [{"prefix": "/#/io.l5d.fs/muxed", **PATIENT_MUX}]
        router = Router([{"protocol": "thriftmux", "dtab": "/svc => /#/io.l5d.fs", "servers": [{}],
                          "client": {"kind": "io.l5d.static", "configs": configs}}], **top)
        for backend in (self.plain, self.muxed):
            self.addCleanup(backend.stop)
            router.write(backend.name, backend.port)
        self.addCleanup(router.stop)
        return router.start()

    def client(self, router, **more):
        client = MuxClient(router.port, **more)
        self.addCleanup(client.close)
        return client

    def hold(self, client, backend, key):
        before = len(backend.calls("hold"))
        tag = client.send(f"{backend.name}:hold", [(1, "string", key)])
        self.assertTrue(backend.wait_calls("hold", before + 1))
        return tag

    def test_calls_in_flight_finish(self):
        router = self.start()
        client = self.client(router)
        tags = {self.hold(client, backend, "last"): backend for backend in (self.plain, self.muxed)}
        router.signal()
        client.until_drained()
        until(lambda: refuses(router.port), "no new connections")
        self.assertIsNone(router.process.poll())
        for tag, backend in tags.items():
            backend.release("last")
            self.assertEqual(client.answer(tag).message.fields, {0: b"last"})
        self.assertEqual(client.until_closed(), [])
        self.assertEqual(router.wait(), 0)

    def test_idle_sessions_are_told_too(self):
        router = self.start()
        clients = [self.client(router, handshake=how) for how in ("probe", "tinit", "none")]
        for client in clients:
            self.assertEqual(client.text("muxed:get"), "muxed muxed:get")
        router.signal()
        for client in clients:
            client.until_drained()
            self.assertEqual(client.until_closed(), [])
        self.assertEqual(router.wait(), 0)

    def test_calls_between_tdrain_and_rdrain_are_served_and_later_ones_nacked(self):
        router = self.start()
        client = self.client(router)
        client.answers_drain = False
        held = self.hold(client, self.muxed, "last")
        router.signal()
        client.until_drained()
        for name in self.backends:
            self.assertEqual(client.text(f"{name}:get"), f"{name} {name}:get")
        client.send_message(mux.RDRAIN, 1)
        self.assertEqual(client.call("plain:get").status, mux.NACK)
        self.muxed.release("last")
        self.assertEqual(client.answer(held).status, mux.OK)
        self.assertEqual(client.until_closed(), [])
        self.assertEqual(router.wait(), 0)

    def test_a_client_that_does_not_answer_holds_it_up_for_the_grace_only(self):
        router = self.start(admin={"shutdownGraceMs": 300})
        client = self.client(router)
        client.answers_drain = False
        self.assertEqual(client.text("plain:get"), "plain plain:get")
        router.signal()
        client.until_drained()
        self.assertEqual(router.wait(), 0)

    def test_what_does_not_finish_is_cut_after_the_grace(self):
        router = self.start(admin={"shutdownGraceMs": 300})
        client = self.client(router)
        self.hold(client, self.muxed, "never")
        router.signal()
        self.assertEqual(router.wait(), 0)
        for frame in client.until_closed():
            # An error before the end is fine, a result is not.
            if frame.type == mux.RDISPATCH and mux.read_reply(frame.body).status == mux.OK:
                self.assertIn(b"trestle:", frame.body)


if __name__ == "__main__":
    unittest.main(verbosity=2)
