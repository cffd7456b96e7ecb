from twisted.internet import reactor
from tests.letters import Box
from tests.smoke.stage.case import SmokeCase
from tests.smoke.stage.nodes import Nodes
from tests.smoke.stage.people import Sender

class Durable(SmokeCase):
    async def test_a(self) -> None:
        nodes = Nodes(self, 2, {"links.ping_after_seconds": 60.0, "links.lost_after_seconds": 100.0,"ring.stabilize_quiet_seconds":300.0,"ring.reconcile_seconds":3600.0},before=["strace","-f","--seccomp-bpf","-yy","-s","0","-o","/tmp/smk/trace-{index}","-e","trace=network,read,write,readv,writev,pwrite64,fdatasync,fsync"])
        await nodes.start()
        s = await Sender.at(self, nodes.address(0))
        b = Box()
        for i in range(3):
            print(await s.send_one(b.envelope(i, reactor.seconds())))
        await nodes.stop()
