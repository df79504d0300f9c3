"""Neuroglancer in headless Chromium: a segmentation (precomputed) over its image (OME-Zarr).

neuroglancer_screenshot.py IMAGE.zarr LABELS.precomputed OUT.png [Z,Y,X in nanometres, the centre]

Needs the neuroglancer package, which carries the client, and Chromium. Everything is served from this
machine; nothing is fetched from elsewhere. Fails if a source cannot be read.
"""

import http.server
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading

import neuroglancer

CHROMIUM = [
    os.environ.get("CHROMIUM", "chromium"), "--headless=new", "--no-sandbox", "--use-gl=angle",
    "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist",
    "--window-size=1400,900", "--disable-background-networking", "--disable-dev-shm-usage",
    "--no-first-run",
]


class Files(http.server.SimpleHTTPRequestHandler):
    """Files with ranges, for readers from any origin."""

    protocol_version = "HTTP/1.1"

    def end_headers(self):
        self.send_header("Access-Control-Allow-Origin", "*")
        self.send_header("Access-Control-Allow-Headers", "Range")
        self.send_header("Access-Control-Expose-Headers", "Content-Range, Content-Length")
        super().end_headers()

    def do_OPTIONS(self):
        self.answer(204, b"")

    def do_GET(self):
        path = pathlib.Path(self.translate_path(self.path))
        if not path.is_file():
            return self.answer(404, b"")
        content = path.read_bytes()
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if not wanted:
            return self.answer(200, content)
        first = int(wanted[1])
        last = min(int(wanted[2] or len(content)), len(content) - 1)
        if first > last:
            return self.answer(416, b"")
        self.answer(206, content[first:last + 1], f"bytes {first}-{last}/{len(content)}")

    def answer(self, status, content, content_range=None):
        self.send_response(status)
        if content_range:
            self.send_header("Content-Range", content_range)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, text, *arguments):
        if self.command == "GET":
            requests.append((self.path, arguments[1] if len(arguments) > 1 else None))


requests = []


def serve(folder):
    """Base URL of a server of a folder that runs until the end."""
    handler = lambda *arguments: Files(*arguments, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


def show(viewer, image, labels, centre):
    nanometre = neuroglancer.CoordinateSpace(names=["x", "y", "z"], units="nm", scales=[1, 1, 1])
    with viewer.txn() as state:
        state.dimensions = nanometre
        state.layers["EM"] = neuroglancer.ImageLayer(source=f"zarr://{serve(image.parent)}/{image.name}")
        source = f"precomputed://{serve(labels.parent)}/{labels.name}"
        state.layers["segmentation"] = neuroglancer.SegmentationLayer(
            source=source, selected_alpha=0.35, not_selected_alpha=0.35)
        state.layout = "4panel"
        state.cross_section_scale = 5
        state.projection_scale = 5000
        if centre:
            state.position = [float(length) for length in reversed(centre.split(","))]


def main(image, labels, output, centre=None):
    neuroglancer.set_server_bind_address("127.0.0.1")
    viewer = neuroglancer.Viewer()
    show(viewer, pathlib.Path(image).resolve(), pathlib.Path(labels).resolve(), centre)
    with tempfile.TemporaryDirectory() as profile:
        command = [*CHROMIUM, f"--user-data-dir={profile}", viewer.get_viewer_url()]
        browser = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            # The client answers when all that is in view has come.
            reply = viewer.screenshot(size=[1400, 900])
        finally:
            browser.terminate()
            browser.wait()
    pathlib.Path(output).write_bytes(reply.screenshot.image)
    found = {path for path, status in requests if status in ("200", "206")}
    for name in (image, labels):
        name = pathlib.Path(name).name
        chunks = [path for path in found if path.startswith(f"/{name}/")]
        print(f"{name}: {len(chunks)} objects read")
        assert len(chunks) > 1, f"{name} was not read: {sorted(requests)}"


if __name__ == "__main__":
    main(*sys.argv[1:])
