"""Znodes that not everybody may read, and a cluster that is used from a znode down (`chroot`): one
router with a namer, and a server, for each way to come to it."""

import unittest

from kazoo.security import make_digest_acl

import wire
from client import Client
from fake_backend import FakeBackend
from router_process import Router, RouterTest, until
from zookeeper import PARENT, ZooKeeper

WAYS = {"known": {"authInfo": {"scheme": "digest", "auth": "fleet:secret"}},
        "wrong": {"authInfo": {"scheme": "digest", "auth": "fleet:guess"}},
        "unknown": {},
        "chroot": {"chroot": "/fleet"}}


class Access(RouterTest):
    @classmethod
    def configure(cls):
        cls.zookeeper = ZooKeeper()
        cls.addClassCleanup(cls.zookeeper.stop)
        cls.zookeeper.start()
        cls.zookeeper.client().add_auth("digest", "fleet:secret")
        cls.servers = {name: cls.backend(FakeBackend(name)) for name in ("one", "two")}
        router = Router([{"protocol": "thrift", "label": way, "servers": [{}],
                          "dtab": f"/svc => /#/{way}{PARENT}", "bindingTimeoutMs": 20000}
                         for way in WAYS])
        router.config["namers"] += [
            {"kind": "io.l5d.serversets", "prefix": f"/{way}", "sessionTimeoutMs": 2000,
             "zkAddrs": cls.zookeeper.addresses(), **more} for way, more in WAYS.items()]
        return router

    def setUp(self):
        self.clients = {way: Client(port) for way, port in zip(WAYS, self.router.ports)}
        for client in self.clients.values():
            self.addCleanup(client.close)
        self.name = self.id().rpartition(".")[2]
        self.set = f"{PARENT}/{self.name}"
        self.secret = {"acl": [make_digest_acl("fleet", "secret", all=True)]}

    def ask(self, way):
        return self.clients[way].text(f"{self.name}:get").split(" ")[0]

    def settles(self, way, who):
        until(lambda: {self.ask(way) for _ in range(8)} == set(who), f"{way}: {who} answer")

    def put(self, backend, below="", **options):
        member = self.zookeeper.member(self.servers[backend].port)
        return self.zookeeper.put(f"{below}{self.set}/member_", member, sequence=True, **options)

    def refused(self, way):
        message = self.clients[way].call(f"{self.name}:get")
        self.assertEqual(message.kind, wire.EXCEPTION)
        self.assert_router_error(message, "get", f"{self.set}: not authenticated")

    def test_a_set_for_those_whom_zookeeper_knows(self):
        self.zookeeper.put(self.set, **self.secret)
        self.put("one", **self.secret)
        self.settles("known", ["one"])
        self.refused("wrong")
        self.refused("unknown")
        # Who is known stays so in another session.
        self.zookeeper.kill()
        self.zookeeper.start()
        self.put("two", **self.secret)
        self.settles("known", ["one", "two"])
        self.refused("wrong")
        # And what was refused is asked for again.
        self.zookeeper.again(self.zookeeper.client().set_acls, self.set,
                             [*self.secret["acl"], make_digest_acl("fleet", "guess", read=True)])
        for path in self.zookeeper.client().get_children(self.set):
            self.zookeeper.again(self.zookeeper.client().set_acls, f"{self.set}/{path}",
                                 [make_digest_acl("fleet", "guess", read=True)])
        self.settles("wrong", ["one", "two"])

    def test_a_member_that_may_not_be_read_is_left_out(self):
        self.put("one")
        self.put("two", **self.secret)
        self.settles("known", ["one", "two"])
        self.settles("unknown", ["one"])

    def test_paths_are_below_the_chroot(self):
        self.put("one")
        self.put("two", below="/fleet")
        self.settles("chroot", ["two"])
        self.settles("unknown", ["one"])
        self.put("one", below="/fleet")
        self.settles("chroot", ["one", "two"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
