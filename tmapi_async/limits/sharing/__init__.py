"""One gate for all processes of an account on a machine: Unix sockets around `limits/shares`.

The page on the gate (`docs/gate.md`) explains the design. `host_state` and `demand`
decide, without I/O and with the clock passed in. `runtime_folder`, `message_stream` and
`limit_memory` do the I/O. `gate_host` and `gate_member` are the two ends of a connection, and
`gate_sharing` gives a client the role of one of them, or neither.
"""
