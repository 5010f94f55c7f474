"""A real S3 protocol server over HTTP on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import boto3
import pytest
from fsspec import get_filesystem_class
from moto.server import ThreadedMotoServer

from storage.urls import filesystem


@contextmanager
def s3_bucket(name: str) -> Iterator[str]:
    """``s3://<name>`` for as long as the context lasts, with the environment that points fsspec at it."""
    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    environment = pytest.MonkeyPatch()
    for key, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": endpoint,
    }.items():
        environment.setenv(key, value)
    forget_clients()
    boto3.client("s3", endpoint_url=endpoint).create_bucket(Bucket=name)
    try:
        yield f"s3://{name}"
    finally:
        forget_clients()
        environment.undo()
        server.stop()


def forget_clients() -> None:
    """fsspec keeps its clients, with the endpoint that they were made for."""
    filesystem.cache_clear()
    get_filesystem_class("s3").clear_instance_cache()
