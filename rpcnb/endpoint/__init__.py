"""The joint of the three pillars: session ⇄ wire ⇄ transport.

`Connection` moves messages, `SocketSession` is the client's `RPCSession`, `Dispatcher` serves any
`RPCSession` to a peer, `Server` accepts peers. Nothing else in the package sees all three pillars.
"""
