"""Twenty seconds of the soak: no wrong reply, no loss without a reason, no descriptor left open,
and the router lives. By hand and for longer: script/soak."""

import os
import re
import subprocess
import sys
import unittest

SECONDS = 20


class Soak(unittest.TestCase):
    def test_a_mixed_load_with_random_faults(self):
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "soak.py")
        command = [sys.executable, "-B", script, "--seconds", str(SECONDS), "--seed", "7"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)
        print(done.stdout)
        self.assertEqual(done.returncode, 0, done.stdout[-8000:] + done.stderr[-8000:])
        answered = re.search(r"^ *(\d+) answered$", done.stdout, re.M)
        self.assertGreater(int(answered.group(1)), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
