"""An S3 server (moto) with one bucket, as long as standard input is open. Prints its port."""

import sys
import urllib.request

from moto.server import ThreadedMotoServer

server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
host, port = server.get_host_and_port()
request = urllib.request.Request(f"http://127.0.0.1:{port}/{sys.argv[1]}", method="PUT")
urllib.request.urlopen(request).read()
print(port, flush=True)
sys.stdin.read()
server.stop()
