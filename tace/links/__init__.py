"""The real links between nodes: TLS, hello, requests in flight, the pool."""
