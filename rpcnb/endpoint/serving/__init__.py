"""The serving end: `Server`, its broker, zygote and workers, and `Dispatcher`, which serves any `RPCSession`."""
