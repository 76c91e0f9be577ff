"""Half a minute of the soak, some of it with little memory: no wrong reply, no loss without a
reason, no descriptor left open, and the router lives. By hand and for longer: script/soak."""

import os
import re
import subprocess
import sys
import unittest


class Soak(unittest.TestCase):
    def test_a_mixed_load_with_random_faults(self):
        self.soak("--seconds", "20", "--seed", "7")

    def test_a_mixed_load_with_little_memory(self):
        self.soak("--seconds", "10", "--seed", "8", "--memory", str(8 << 20), "--large", "0.03")

    def soak(self, *options):
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "soak.py")
        command = [sys.executable, "-B", script, *options]
        done = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)
        print(done.stdout)
        self.assertEqual(done.returncode, 0, done.stdout[-8000:] + done.stderr[-8000:])
        answered = re.search(r"^ *(\d+) answered$", done.stdout, re.M)
        self.assertGreater(int(answered.group(1)), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
