"""What `rpcnb demo` serves and starts: functions on real work, and a notebook beside them."""
