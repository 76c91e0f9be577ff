"""`protocol: mux`: the name is the destination, the payload is nobody's business."""

import unittest

import mux_wire as mux
from bridges import PATIENT_MUX
from fake_mux import FakeMux
from mux_client import MuxClient
from router_process import Router, RouterTest, free_port

EVERY_BYTE = bytes(range(256))


class Opaque(RouterTest):
    @classmethod
    def configure(cls):
        cls.raw = cls.backend(FakeMux("raw", None, fragment=5000))
        router = Router([{"protocol": "mux", "label": "rt", "servers": [{}],
                          "dtab": "/svc => /#/io.l5d.fs ; /svc/by/name => /#/io.l5d.fs/raw",
                          "client": PATIENT_MUX}],
                        workers=1)
        router.write("raw", cls.raw.port)
        router.write("down", free_port())
        return router

    def client(self, **more):
        client = MuxClient(self.router.port, None, **more)
        self.addCleanup(client.close)
        return client

    def ask(self, client, payload, dst="/raw", **parts):
        return client.answer(client.dispatch(payload, dst=dst, **parts))

    def test_bytes_both_ways(self):
        client = self.client(fragment=3000)
        for argument in (b"", b"\0", EVERY_BYTE, EVERY_BYTE * 4096):
            answer = self.ask(client, b"echo " + argument)
            self.assertEqual(answer.status, mux.OK)
            self.assertTrue(answer.payload == argument)
            self.assertTrue(self.raw.seen[-1].payload == b"echo " + argument)

    def test_an_empty_payload(self):
        self.assertEqual(self.ask(self.client(), b"").payload, b"raw ")
        self.assertEqual(self.raw.seen[-1].payload, b"")

    def test_the_name_is_the_destination_and_the_rest_goes_on(self):
        client = self.client()
        for dst, left in (("/raw", b""), ("/raw/more/of/it", b"/more/of/it"), ("/by/name", b""),
                          ("/by/name/left", b"/left")):
            self.assertEqual(self.ask(client, b"echo x", dst).payload, b"x")
            self.assertIn(self.raw.seen[-1].dst, (left,) if left else (b"", b"/"))

    def test_what_is_beside_the_payload(self):
        client = self.client()
        contexts = [(b"com.example.custom", EVERY_BYTE), (mux.RETRIES, b"\0\0\0\1"), (b"", b"")]
        self.raw.reply_contexts = [(b"back", EVERY_BYTE)]
        self.addCleanup(setattr, self.raw, "reply_contexts", [])
        answer = self.ask(client, b"echo x", contexts=contexts, dtab=[("/none", "/of/us | ~")])
        seen = self.raw.seen[-1]
        for key, value in contexts:
            self.assertEqual(seen.context(key), value)
        self.assertEqual([(prefix, tree.replace(b" ", b"")) for prefix, tree in seen.dtab],
                         [(b"/none", b"/of/us|~")])
        self.assertEqual(answer.context(b"back"), EVERY_BYTE)

    def test_a_local_dtab(self):
        client = self.client()
        dtab = [("/svc/elsewhere", "/#/io.l5d.fs/raw")]
        self.assertEqual(self.ask(client, b"echo x", "/elsewhere", dtab=dtab).payload, b"x")
        self.assertEqual(self.ask(client, b"echo x", "/elsewhere").status, mux.ERROR)

    def test_errors_of_the_router(self):
        client = self.client()
        for dst, part in (("/nowhere", b"/svc/nowhere"), ("/down", b"/#/io.l5d.fs/down"),
                          ("", b"/svc")):
            answer = self.ask(client, b"echo x", dst)
            self.assertEqual((answer.type, answer.status), (mux.RDISPATCH, mux.ERROR))
            self.assertTrue(answer.payload.startswith(b"trestle:"), answer)
            self.assertIn(part, answer.payload)
        self.assertEqual(self.ask(client, b"echo x").payload, b"x")

    def test_errors_and_nacks_of_the_backend(self):
        client = self.client()
        answer = self.ask(client, b"error 6")
        self.assertEqual((answer.status, answer.payload, answer.flags),
                         (mux.ERROR, b"as the backend says it", 6))
        answer = self.ask(client, b"error ")
        self.assertEqual((answer.status, answer.flags), (mux.ERROR, None))
        # Nobody else is there to be asked, so the nack comes through in the end.
        for flags in (b"", b"3"):
            answer = self.ask(client, b"nack " + flags)
            self.assertNotEqual(answer.status, mux.OK)
        self.assertEqual(self.ask(client, b"echo x").payload, b"x")

    def test_discards(self):
        client = self.client()
        before = len(self.raw.discarded)
        tag = client.dispatch(b"never ", dst="/raw")
        self.assertTrue(self.raw.wait_calls("never", 1))
        client.discard(tag)
        self.assertEqual(client.answer(tag).type, mux.RDISCARDED)
        self.assertTrue(self.raw.wait(lambda: len(self.raw.discarded) > before))


if __name__ == "__main__":
    unittest.main(verbosity=2)
