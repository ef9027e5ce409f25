"""TVM's RPC, both ways: `TVMSession` is a client of TVM's servers, `TVMServer` serves its clients."""
