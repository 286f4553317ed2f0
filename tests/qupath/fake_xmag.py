"""A napari-xmag that only plays its part: ``python fake_xmag.py MODE RECORD arguments…``.

It writes what it was called with to RECORD, and then succeeds, fails, hangs or goes on for ever.
"""

import gzip
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any


def say(**event: Any) -> None:
    print(json.dumps(event), flush=True)


NOTICE = "Research use only. Not for diagnosis."


def finish(out: Path, predicted: str | None, *, write: bool = True) -> None:
    folder = out / "slide"
    folder.mkdir(parents=True, exist_ok=True)
    square = {"type": "Polygon", "coordinates": [[[0, 0], [9, 0], [9, 9], [0, 9], [0, 0]]]}
    names = [("tile", "XMAG patch 0, 0"), ("annotation", "XMAG hotspot 1")]
    features = [
        {
            "type": "Feature",
            "geometry": square,
            "properties": {
                "objectType": kind,
                "name": name,
                "classification": {"names": ["XMAG", "malignant"]},
            },
        }
        for kind, name in names
    ]
    text = json.dumps({"type": "FeatureCollection", "features": features})
    if write:
        (folder / "qupath.geojson.gz").write_bytes(gzip.compress(text.encode()))
    metadata = {"XMAG prediction": predicted or "no prediction", "XMAG model": "tiny (0123)"}
    metadata |= {"XMAG notice": NOTICE} | ({"XMAG benign": "0.100"} if predicted else {})
    description = f"XMAG: {predicted}. {NOTICE}"
    say(
        event="finished",
        folder=str(folder),
        qupath={"metadata": metadata, "description": description},
    )


def tiles(count: int) -> None:
    for done in range(1, count + 1):
        say(event="tiles", done=done, total=count, seconds_left=1.5)
        time.sleep(0.05)


def go_on_for_ever(record: Path) -> None:
    """Read tiles without end, with a child of our own as a launcher has one."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    record.with_suffix(".pids").write_text(f"{os.getpid()} {child.pid}")
    tiles(100_000)


def main() -> int:
    mode, record, *arguments = sys.argv[1:]
    if arguments[:1] == ["models"]:
        names = ["one", "two"] if mode == "two models" else ["one"]
        models = [{"name": name, "problem": ""} for name in names]
        print(json.dumps({"models": [*models, {"name": "broken", "problem": "altered"}]}))
        return 0
    called: dict[str, Any] = {"arguments": arguments}
    called["server"] = json.loads(Path(arguments[1]).read_text())
    if "--regions" in arguments:
        called["regions"] = json.loads(
            Path(arguments[arguments.index("--regions") + 1]).read_text()
        )
    Path(record).write_text(json.dumps(called))
    say(event="started")
    say(event="waiting", stage="loading the model", done=0, total=0)
    print("a warning of some library", flush=True)
    if mode == "refuse":
        print("Loading", file=sys.stderr)
        print("napari-xmag analyze: Expected an image of 9×9, but found 8×8.", file=sys.stderr)
        return 1
    if mode == "crash":
        return 3
    if mode == "fail":
        say(event="failed", message="Expected a slide, but found a cat. Open a slide.")
        return 1
    if mode == "hang":
        say(event="tiles", done=1, total=9, seconds_left=1.0)
        record_pids = Path(record).with_suffix(".pids")
        record_pids.write_text(f"{os.getpid()}")
        time.sleep(600)
    if mode == "for ever":
        go_on_for_ever(Path(record))
    tiles(4)
    if mode != "nothing":
        out = Path(arguments[arguments.index("--out") + 1])
        predicted = None if mode == "no prediction" else "malignant"
        finish(out, predicted, write=mode != "no file")
    return 0


sys.exit(main())
