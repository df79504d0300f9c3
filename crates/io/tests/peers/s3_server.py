"""An S3 server (moto) with one bucket that all may read, as long as standard input is open. Prints its port."""

import json
import sys
import urllib.request

from moto.server import ThreadedMotoServer

server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
host, port = server.get_host_and_port()
bucket = sys.argv[1]
policy = {"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject",
                         "Resource": f"arn:aws:s3:::{bucket}/*"}]}
for query, body in [("", None), ("?policy", json.dumps(policy).encode())]:
    url = f"http://127.0.0.1:{port}/{bucket}{query}"
    urllib.request.urlopen(urllib.request.Request(url, body, method="PUT")).read()
print(port, flush=True)
sys.stdin.read()
server.stop()
