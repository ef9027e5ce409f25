"""TVM's RPC protocol without I/O: bytes to packets and back."""
