"""Clients that upgrade to TTwitter: headers before messages, and what the router does by them."""

import unittest

import wire
from client import Client
from fake_backend import FakeBackend
from router_process import Router, RouterTest

DTAB = "/srv => /#/io.l5d.fs ; /thrift => /srv ; /thrift/users => /srv/users-v1"


class Upgrade:
    protocol = None

    @classmethod
    def configure(cls):
        base = {"protocol": "thrift", "dstPrefix": "/thrift", "thriftProtocol": cls.protocol.name,
                "dtab": DTAB}
        router = Router([{**base, "label": "kept", "servers": [{}, {"clearContext": True}]},
                         {**base, "label": "methods", "thriftMethodInDst": True, "servers": [{}]}])
        cls.v1 = cls.backend(FakeBackend("v1", cls.protocol))
        cls.v2 = cls.backend(FakeBackend("v2", cls.protocol))
        router.write("users-v1", cls.v1.port)
        router.write("users-v2", cls.v2.port)
        return router

    def client(self, server=0):
        client = Client(self.router.ports[server], self.protocol)
        self.addCleanup(client.close)
        return client

    def upgraded(self, server=0):
        client = self.client(server)
        client.upgrade()
        self.assertTrue(client.upgraded)
        return client

    def test_the_answer(self):
        answer = self.client().upgrade()
        self.assertEqual(answer, wire.Message(wire.REPLY, wire.UPGRADE, 0, {}, b"\0"))

    def test_calls_after_it(self):
        client = self.upgraded()
        self.assertEqual(client.text("users:get"), "v1 users:get")
        self.assertEqual(client.call("users:void").fields, {})
        self.assertEqual(client.call("users:declared").fields, {1: {1: b"no such user"}})
        self.assertEqual(client.call("users:application").kind, wire.EXCEPTION)
        self.assertEqual(client.call("users:get", seqid=-1).kind, wire.REPLY)

    def test_the_backend_gets_no_header(self):
        client = self.upgraded()
        client.call("users:body", [(1, "string", "text")], client_id="tester",
                    contexts=[("com.twitter.finagle.Retries", "\0\0\0\0")])
        self.assertEqual(self.v1.calls("body")[-1].fields, {1: b"text"})
        self.assertEqual(self.v1.calls(wire.UPGRADE), [])

    def test_a_dtab_counts_for_its_request_only(self):
        client = self.upgraded()
        to_v2 = [("/srv/users-v1", "/srv/users-v2")]
        for _ in range(3):
            self.assertEqual(client.text("users:get", dtab=to_v2), "v2 users:get")
            self.assertEqual(client.text("users:get"), "v1 users:get")

    def test_later_entries_of_the_dtab_win(self):
        client = self.upgraded()
        dtab = [("/thrift/users", "/srv/users-v1"), ("/thrift/users", "/srv/users-v2")]
        self.assertEqual(client.text("users:get", dtab=dtab), "v2 users:get")
        dtab = [("/thrift/users", "/srv/users-v2"), ("/thrift/users", "~")]
        self.assertEqual(client.text("users:get", dtab=dtab), "v2 users:get")

    def test_many_different_dtabs(self):
        client = self.upgraded()
        for i in range(300):
            dtab = [("/unique", f"/number/{i}"), ("/thrift/users", "/srv/users-v2")]
            self.assertEqual(client.text("users:get", dtab=dtab), "v2 users:get")
        self.assertEqual(client.text("users:get"), "v1 users:get")

    def test_a_dtab_of_another_client_counts_not(self):
        with_dtab, without = self.upgraded(), self.client()
        dtab = [("/thrift/users", "/srv/users-v2")]
        self.assertEqual(with_dtab.text("users:get", dtab=dtab), "v2 users:get")
        self.assertEqual(without.text("users:get"), "v1 users:get")

    def test_dest_comes_first_in_the_name(self):
        client = self.upgraded()
        self.assertEqual(client.text("get", dest="/users-v2"), "v2 get")
        self.assertEqual(client.text("users:get", dest="/"), "v1 users:get")
        methods = self.upgraded(server=2)
        text = methods.text("svc:get", dest="/nowhere")
        self.assertIn("/thrift/nowhere/svc/get", text)

    def test_errors_of_the_router_have_a_header_too(self):
        client = self.upgraded()
        reply = client.call("nowhere:get")
        self.assert_router_error(reply, "get", "/thrift/nowhere")
        self.assertEqual(client.text("users:get"), "v1 users:get")

    def test_a_dtab_that_is_none(self):
        client = self.upgraded()
        for prefix, destination in (("no slash", "/srv"), ("/a", "=>"), ("", "/srv"), ("/a", "")):
            reply = client.call("users:get", dtab=[(prefix, destination)])
            self.assert_router_error(reply, "get")
        self.assertEqual(client.text("users:get"), "v1 users:get")

    def test_oneway_has_no_answer(self):
        client = self.upgraded()
        before = len(self.v2.calls("note"))
        client.oneway("users:note", dtab=[("/thrift/users", "/srv/users-v2")])
        self.assertEqual(client.text("users:get"), "v1 users:get")
        self.assertTrue(self.v2.wait_calls("note", before + 1))

    def test_pipelined_calls_with_headers(self):
        client = self.upgraded()
        for i in range(60):
            version = "v1" if i % 2 else "v2"
            dtab = [("/thrift/users", f"/srv/users-{version}")]
            client.send(wire.CALL, "users:get", i, dtab=dtab)
        for i in range(60):
            reply = client.receive()
            self.assertEqual(reply.seqid, i)
            self.assertEqual(reply.fields[0], b"v1 users:get" if i % 2 else b"v2 users:get")

    def test_clear_context_drops_what_the_client_sent(self):
        client = self.upgraded(server=1)
        dtab = [("/thrift/users", "/srv/users-v2")]
        self.assertEqual(client.text("users:get", dtab=dtab), "v1 users:get")

    def test_a_plain_message_after_it(self):
        client = self.upgraded()
        client.upgraded = False
        client.send(wire.CALL, "users:get", 3)
        self.assertTrue(client.is_closed())
        self.assertEqual(self.client().text("users:get"), "v1 users:get")

    def test_a_cut_header(self):
        client = self.upgraded()
        whole = wire.request_header(self.protocol, dest="/users", dtab=[("/a", "/b")])
        client.send_bytes(wire.frame(whole[:-9]))
        self.assertTrue(client.is_closed())
        self.assertEqual(self.client().text("users:get"), "v1 users:get")


class BinaryUpgrade(Upgrade, RouterTest):
    protocol = wire.Binary


class CompactUpgrade(Upgrade, RouterTest):
    protocol = wire.Compact


if __name__ == "__main__":
    unittest.main(verbosity=2)
