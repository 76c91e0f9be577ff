"""The command line and the configuration: what is refused, with which words and which exit code."""

import glob
import os
import re
import socket
import subprocess
import tempfile
import unittest

from router_process import PATIENCE, SOURCE, program

GOOD = """
admin: {port: 0}
namers:
- kind: io.l5d.fs
  rootDir: names
routers:
- protocol: thrift
  label: users
  dstPrefix: /thrift
  thriftMethodInDst: true
  dtab: |
    /srv => /#/io.l5d.fs ;
    /thrift => /srv ;
    /thrift/canary => 3 * /srv/users & 1 * /srv/next ;
    /thrift/fallback => /srv/gone | /srv/users ;
  servers:
  - port: 4114
"""


class CommandLine(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.put("names/users", "127.0.0.1 8081\n127.0.0.1 8082 * 0.5\n")
        self.put("names/next", "127.0.0.1 8083\n")
        self.put("good.yaml", GOOD)

    def put(self, name, text):
        path = os.path.join(self.folder.name, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)

    def run_it(self, *arguments, given=None):
        return subprocess.run([program("trestle"), *arguments], input=given, capture_output=True,
                              text=True, timeout=PATIENCE, cwd=self.folder.name, check=False)

    def refused(self, text, *expected):
        """The configuration is refused, and every pattern fits a line of what is said."""
        self.put("bad.yaml", text)
        for arguments in (["--validate", "bad.yaml"], ["bad.yaml"]):
            done = self.run_it(*arguments)
            self.assertEqual(done.returncode, 2, done.stderr)
            for pattern in expected:
                self.assertRegex(done.stderr, re.compile(pattern, re.MULTILINE))
        return done.stderr

    def changed(self, old, new):
        self.assertIn(old, GOOD)
        return GOOD.replace(old, new)

    # The command line.

    def test_validate(self):
        self.assertEqual(self.run_it("--validate", "good.yaml").returncode, 0)
        self.assertEqual(self.run_it("--validate", "-", given=GOOD).returncode, 0)

    def test_validate_touches_no_zookeeper_and_no_disk(self):
        with socket.create_server(("127.0.0.1", 0)) as zookeeper:
            zookeeper.settimeout(0)
            text = GOOD.replace("routers:", f"""
- kind: io.l5d.serversets
  cacheDir: {self.folder.name}/sets
  zkAddrs: [{{host: 127.0.0.1, port: {zookeeper.getsockname()[1]}}}]
routers:""", 1)
            done = self.run_it("--validate", "-", given=text)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertFalse(os.path.exists(os.path.join(self.folder.name, "sets")))
            with self.assertRaises(BlockingIOError):
                zookeeper.accept()

    def test_help_and_version(self):
        done = self.run_it("--help")
        self.assertEqual(done.returncode, 0)
        for word in ("--validate", "--version", "explain"):
            self.assertIn(word, done.stdout)
        done = self.run_it("--version")
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stdout, r"\d+\.\d+\.\d+")

    def test_bad_command_lines(self):
        for arguments in ([], ["--no-such-flag"], ["good.yaml", "another.yaml"], ["not-there.yaml"],
                          ["explain"], ["explain", "good.yaml"]):
            done = self.run_it(*arguments)
            self.assertEqual(done.returncode, 2, (arguments, done.stderr))
            self.assertTrue(done.stderr, arguments)

    # What is wrong in a file.

    def test_an_unknown_key(self):
        self.refused(self.changed("  dtab: |", "  dtba: |"),
                     r"^bad\.yaml:11: routers\[0\]\.dtba: .*did you mean dtab")

    def test_a_wrong_type(self):
        self.refused(self.changed("- port: 4114", "- port: many"),
                     r"^bad\.yaml:17: routers\[0\]\.servers\[0\]\.port: ")
        self.refused(self.changed("- port: 4114", "- port: 70000"),
                     r"^bad\.yaml:17: routers\[0\]\.servers\[0\]\.port: .*65535")

    def test_an_unknown_kind(self):
        self.refused(self.changed("kind: io.l5d.fs", "kind: io.l5d.sf"),
                     r"^bad\.yaml:4: namers\[0\]\.kind: .*io\.l5d\.fs")
        self.refused(self.changed("protocol: thrift", "protocol: thrfit"),
                     r"^bad\.yaml:7: routers\[0\]\.protocol: .*thrift")

    def test_a_dtab_with_the_position(self):
        self.refused(self.changed("/thrift => /srv ;", "/thrift -> /srv ;"),
                     r"^bad\.yaml:\d+: routers\[0\]\.dtab: .*found at .*\[-\]")

    def test_a_key_that_is_not_supported_yet(self):
        self.refused(self.changed("  dtab: |", "  interpreter: {kind: io.l5d.namerd}\n  dtab: |"),
                     r"^bad\.yaml:\d+: routers\[0\]\.interpreter\.kind: .*not supported")
        self.refused(self.changed("protocol: thrift", "protocol: http"),
                     r"^bad\.yaml:7: routers\[0\]\.protocol: .*not supported")

    def test_no_routers(self):
        self.refused("admin: {port: 0}\n", r"^bad\.yaml.*routers")
        self.refused("", r"^bad\.yaml: ")

    def test_an_unreadable_root_dir(self):
        self.refused(self.changed("rootDir: names", "rootDir: nowhere/at/all"),
                     r"^bad\.yaml:5: namers\[0\]\.rootDir: .*nowhere/at/all")

    def test_duplicates(self):
        self.refused(self.changed("  - port: 4114", "  - port: 4114\n  - port: 4114"),
                     r"^bad\.yaml:18: routers\[0\]\.servers\[1\]\.port: .*4114")
        twice = GOOD + GOOD[GOOD.index("- protocol"):].replace("4114", "4115")
        self.refused(twice, r"^bad\.yaml:\d+: routers\[1\]\.label: .*users")

    def test_no_yaml(self):
        self.refused("routers: [", r"^bad\.yaml:\d+: ")

    def test_everything_wrong_is_told_at_once(self):
        text = self.changed("rootDir: names", "rootDir: nowhere")
        for good, bad in (("  dtab: |", "  dtba: |"), ("port: 4114", "port: 70000"),
                          ("admin: {port: 0}", "admin: {prt: 0}")):
            text = text.replace(good, bad)
        said = self.refused(text, r"bad\.yaml:2: admin\.prt: .*did you mean port",
                            r"bad\.yaml:5: namers\[0\]\.rootDir: ", r"bad\.yaml:11: .*dtba",
                            r"bad\.yaml:17: .*port: ")
        places = [int(line) for line in re.findall(r"^bad\.yaml:(\d+):", said, re.MULTILINE)]
        self.assertEqual(places, sorted(places))

    def test_the_examples(self):
        examples = glob.glob(os.path.join(SOURCE, "conf/examples/*.yaml"))
        self.assertTrue(examples)
        for example in examples:
            with self.subTest(os.path.basename(example)):
                with open(example, encoding="utf-8") as file:
                    text = file.read()
                # What the heads of the examples say has to be made first.
                if "tls_certs.sh certs" in text:
                    subprocess.run([os.path.join(SOURCE, "conf/examples/tls_certs.sh"), "certs"],
                                   cwd=self.folder.name, check=True)
                for folder in re.findall(r"^\s*rootDir:\s*([^\s#]+)", text, re.MULTILINE):
                    if not os.path.isabs(folder):
                        os.makedirs(os.path.join(self.folder.name, folder), exist_ok=True)
                done = self.run_it("--validate", example)
                self.assertEqual(done.returncode, 0, done.stderr)

    # explain

    def explain(self, *arguments):
        done = self.run_it("explain", "good.yaml", *arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_explain_tells_each_step_and_the_addresses(self):
        shown = self.explain("/thrift/users/get")
        for part in ("/thrift", "/srv/users/get", "/#/io.l5d.fs/users", "127.0.0.1:8081",
                     "127.0.0.1:8082"):
            self.assertIn(part, shown)

    def test_explain_a_union_and_a_fallback(self):
        shown = self.explain("/thrift/canary")
        for part in ("/srv/users", "/srv/next", "127.0.0.1:8081", "127.0.0.1:8083"):
            self.assertIn(part, shown)
        shown = self.explain("/thrift/fallback")
        for part in ("/srv/gone", "~", "127.0.0.1:8081"):
            self.assertIn(part, shown)

    def test_explain_the_empty_name_says_what_names_calls_have(self):
        self.assertIn("names that begin with /thrift (dstPrefix)", self.explain("/"))

    def test_explain_with_a_dtab_of_the_request(self):
        shown = self.explain("/thrift/users", "--dtab", "/srv/users => /srv/next")
        self.assertIn("127.0.0.1:8083", shown)

    def test_explain_what_is_no_path_or_no_dtab(self):
        for arguments in (["no-path"], ["/thrift/users", "--dtab", "no dtab"]):
            done = self.run_it("explain", "good.yaml", *arguments)
            self.assertEqual(done.returncode, 2, done.stdout)
            self.assertIn("expected", done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
