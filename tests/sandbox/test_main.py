"""The command that serves the sandbox explains a port that cannot be used."""

from __future__ import annotations

import socket

from tmapi_async.sandbox.__main__ import main


def test_a_port_in_use_is_named_with_the_way_out(capsys):
    """Another sandbox that still runs would answer in the place of this one."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert main(["--port", str(port)], prog="tmapi sandbox") == 2
    message = capsys.readouterr().err
    assert f"port {port} of 127.0.0.1 is in use" in message
    assert "choose another --port" in message
