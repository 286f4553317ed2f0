"""Programs that run as several gloo processes, as torchrun starts them or through torchrun."""

import os
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_PLAIN = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}


def together(*arguments: str, processes: int = 2) -> str:
    """Run Python in several processes that find each other; return what they printed."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(processes)}
    running = [
        subprocess.Popen(
            [sys.executable, *arguments],
            env=_PLAIN | meeting | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(processes)
    ]
    said = [process.communicate()[0] for process in running]
    assert [process.returncode for process in running] == [0] * processes
    return "".join(said)


def torchrun(*arguments: str, processes: int = 2) -> str:
    """Run a script or ``-m module`` through torchrun; return what it printed."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", str(processes), *arguments]
    ended = subprocess.run(
        command, check=False, capture_output=True, text=True, cwd=ROOT, env=_PLAIN
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout
