# SPDX-License-Identifier: Apache-2.0
"""One process of node that makes the SDKs' calls (tests/sdk/node)."""
import json
import os
import shutil
import subprocess
from pathlib import Path

from harness import REPO

KEY = "sk-for-the-sdk"
SCRIPTS = Path(__file__).parent / "node"


class Refused(Exception):
    def __init__(self, error):
        super().__init__(error["message"])
        self.kind, self.status, self.name = error["class"], error["status"], error["name"]


class Node:
    def __init__(self, folder):
        given = {name: os.environ.get(f"GRIDTIE_{name}") or subprocess.check_output(
            [REPO / "tools/setup", "--print", name.lower().replace("_", "-")], text=True).strip() for name in ("NODE", "NODE_MODULES")}
        for script in SCRIPTS.glob("*.mjs"):  # modules are looked for beside them
            shutil.copy(script, folder)
        Path(folder, "node_modules").symlink_to(given["NODE_MODULES"])
        env = {k: v for k, v in os.environ.items() if not k.endswith(("_API_KEY", "_BASE_URL"))}
        self.err_path = Path(folder, "err")
        with open(self.err_path, "wb") as err:
            self.process = subprocess.Popen([given["NODE"], "driver.mjs"], cwd=folder, stdin=subprocess.PIPE, env=env,
                                            stdout=subprocess.PIPE, stderr=err, text=True)

    def call(self, at, sdk, call, what=None):
        request = {"sdk": sdk, "call": call, "url": at.url, "key": KEY, "what": what}
        print(json.dumps(request), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        assert line, self.err_path.read_text()
        reply = json.loads(line)
        if "error" in reply:
            raise Refused(reply["error"])
        return reply["ok"]
