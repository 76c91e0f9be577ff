"""Calls that nobody waits for any more are discarded from one end to the other."""

import unittest

import mux_wire as mux
from bridges import PATIENT_MUX
from fake_mux import FakeMux
from mux_client import MuxClient
from router_process import Router, RouterTest, until


class Discards(RouterTest):
    @classmethod
    def configure(cls):
        cls.users = cls.backend(FakeMux("users"))
        base = {"protocol": "thriftmux", "dtab": "/svc => /#/io.l5d.fs"}
        router = Router([
            {**base, "label": "rt", "servers": [{}], "client": PATIENT_MUX},
            {**base, "label": "attempt", "servers": [{}],
             "client": {**PATIENT_MUX, "requestAttemptTimeoutMs": 1000}},
            {**base, "label": "total", "servers": [{}], "client": PATIENT_MUX,
             "service": {"totalTimeoutMs": 1000}}], workers=1)
        router.write("users", cls.users.port)
        return router

    def discards(self, leave, server=0):
        """Holds a call, lets `leave` end it, and waits for the backend's Tdiscarded."""
        before, calls = len(self.users.discarded), len(self.users.calls("hold"))
        client = MuxClient(self.router.ports[server])
        self.addCleanup(client.close)
        tag = client.send("users:hold", [(1, "string", "never")])
        self.assertTrue(self.users.wait_calls("hold", calls + 1))
        leave(client, tag)
        self.assertTrue(self.users.wait(lambda: len(self.users.discarded) > before))
        call, _, why = self.users.discarded[-1]
        self.assertTrue(why)
        self.assertEqual(call.name, "users:hold")
        return client, tag

    def test_the_caller_discards(self):
        client, tag = self.discards(lambda client, tag: client.discard(tag))
        self.assertEqual(client.answer(tag).type, mux.RDISCARDED)

    def test_the_caller_is_gone(self):
        self.discards(lambda client, tag: client.close())
        self.discards(lambda client, tag: client.reset())

    def test_timeouts(self):
        for server in (1, 2):
            client, tag = self.discards(lambda client, tag: None, server)
            self.assert_router_error(client.answer(tag).message, "hold", "1000")

    def test_the_session_goes_on(self):
        with MuxClient(self.router.port) as client:
            self.assertEqual(client.text("users:get"), "users users:get")
            accepted = self.users.accepted
            for _ in range(10):
                self.discards(lambda client, tag: client.close())
            self.assertEqual(client.text("users:get"), "users users:get")
            self.assertEqual(self.users.accepted, accepted)

    def test_the_tag_stays_taken_until_it_is_answered(self):
        self.users.answers_discards = False
        self.addCleanup(setattr, self.users, "answers_discards", True)
        self.discards(lambda client, tag: client.discard(tag))
        call = self.users.discarded[-1][0]
        with MuxClient(self.router.port) as client:
            for _ in range(5):
                client.text("users:get")
                self.assertNotEqual(self.users.calls("get")[-1].tag, call.tag)
            call.session.reply(call.tag, mux.reply(mux.OK, b"too late"))
            until(lambda: client.text("users:get") and
                  self.users.calls("get")[-1].tag == call.tag, "it is free")


if __name__ == "__main__":
    unittest.main(verbosity=2)
