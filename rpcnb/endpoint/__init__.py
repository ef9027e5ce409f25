"""The joint of the three pillars: session ⇄ wire ⇄ transport.

Here lies what both ends need: `Connection` moves messages, with its queues, resumption and heartbeat.
`client/` has the asking end, `SocketSession`; `serving/` the other, `Server`, and `Dispatcher`, which
serves any `RPCSession` to a peer; neither imports the other.  `tvm/` has both ends of TVM's protocol.
Nothing else in the package sees all three pillars.
"""
