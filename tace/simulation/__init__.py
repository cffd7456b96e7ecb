"""The network in virtual time: production nodes, simulated sockets and disks, and an oracle.

Nothing is decided here. Every node comes from :func:`tace.core.build_core` and runs on the
production links; only time, the bytes between hosts, the moment a disk has written, and what people
do are simulated. From one seed everything repeats exactly.
"""
