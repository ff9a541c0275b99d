"""The template of numpydoc, compiled once: numpydoc makes a new environment for every docstring."""

from __future__ import annotations

from functools import partial

from jinja2 import BytecodeCache
from jinja2.bccache import Bucket
from numpydoc import docscrape_sphinx
from sphinx.application import Sphinx


class Memory(BytecodeCache):
    """What is compiled, for as long as the process runs."""

    def __init__(self) -> None:
        self.codes: dict[str, object] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """What is there."""
        bucket.code = self.codes.get(bucket.key + bucket.checksum)

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep it."""
        self.codes[bucket.key + bucket.checksum] = bucket.code


def setup(app: Sphinx) -> dict[str, bool]:
    """Every environment of numpydoc's gets the one memory."""
    environment = docscrape_sphinx.SandboxedEnvironment
    docscrape_sphinx.SandboxedEnvironment = partial(
        environment, bytecode_cache=Memory()
    )
    return {"parallel_read_safe": True, "parallel_write_safe": True}
