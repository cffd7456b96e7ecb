"""The mailbox service a gateway sees: deposit, collect, watch, ack, records."""
