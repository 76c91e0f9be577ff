"""What script/bench --tls runs: calls by TLS, handshakes of both kinds, idle connections."""

import os
import subprocess
import sys
import unittest

from bench_programs import PATIENCE
from router_process import SOURCE, program


class Tls(unittest.TestCase):
    def test_measures_all_there_is(self):
        done = subprocess.run(
            [sys.executable, "-B", os.path.join(SOURCE, "bench", "tls.py"), "--no-envoy", "--bin",
             os.path.dirname(program("trestle")), "--rounds", "1", "--seconds", "0.2",
             "--handshakes", "32", "--idle", "20", "--workloads", "64/2/1,70000/2/1"],
            capture_output=True, text=True, timeout=PATIENCE, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        calls, handshakes, idle = done.stdout.strip().split("\n\n")
        rows = [line.split() for line in calls.splitlines()[2:]]
        self.assertEqual([row[0] for row in rows], ["trestle,", "trestle"])
        for figure in rows[0][2:] + rows[1][1:]:
            self.assertGreater(float(figure), 0)
        self.assertEqual(len(rows[1]), 5, "out and in, of two workloads")
        figures = handshakes.splitlines()[1].split()
        self.assertEqual(len(figures), 5, "TLS 1.2 and 1.3, full and resumed")
        for figure in figures[1:]:
            self.assertGreater(float(figure), 0)
        self.assertEqual(len(idle.splitlines()), 3)


if __name__ == "__main__":
    unittest.main(verbosity=2)
