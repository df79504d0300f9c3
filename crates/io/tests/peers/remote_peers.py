"""tensorstore on S3 and HTTP: `check ENDPOINT BUCKET KEY HTTP_URL` or `write ENDPOINT BUCKET KEY`."""

import os
import sys

import numpy
import tensorstore

from pattern import pattern

SHAPE = (2, 9, 21, 33)
os.environ.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="secret")


def s3(endpoint, bucket, key):
    return {"driver": "s3", "bucket": bucket, "path": key, "endpoint": endpoint,
            "aws_region": "eu-central-1", "aws_credentials": {"type": "environment"}}


def check(endpoint, bucket, key, url):
    """Reads a sharded volume of ours over S3 and over HTTP."""
    http = {"driver": "http", "base_url": url, "path": key}
    for store in [s3(endpoint, bucket, key), http]:
        found = tensorstore.open({"driver": "zarr3", "kvstore": store}).result().read().result()
        numpy.testing.assert_array_equal(found, pattern(SHAPE, "u2"))
        print(store["driver"], found.shape)


def write(endpoint, bucket, key):
    metadata = {"shape": list(SHAPE), "data_type": "uint16", "dimension_names": list("czyx"),
                "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [1, 8, 16, 16]}},
                "codecs": [{"name": "sharding_indexed", "configuration": {
                    "chunk_shape": [1, 4, 4, 8], "codecs": [
                        {"name": "bytes", "configuration": {"endian": "little"}},
                        {"name": "zstd", "configuration": {"level": 1}}]}}]}
    spec = {"driver": "zarr3", "kvstore": s3(endpoint, bucket, key), "metadata": metadata}
    tensorstore.open(spec, create=True).result()[...] = pattern(SHAPE, "u2")


{"check": check, "write": write}[sys.argv[1]](*sys.argv[2:])
