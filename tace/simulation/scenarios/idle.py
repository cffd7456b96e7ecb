"""``idle``: nothing happens; what does a node send all the same?"""

from __future__ import annotations

from tace.simulation.scenarios.parameters import Parameters
from tace.simulation.scenarios.stage import Stage

REST_SECONDS = 60.0
MOST_BYTES_PER_SECOND = 2000.0


def idle(stage: Stage, parameters: Parameters) -> None:
    """A ring that is ideal, given time to come to rest, and then measured."""
    stage.stand(parameters.nodes)
    stage.step("comes to rest", REST_SECONDS)
    stage.run_for(REST_SECONDS)
    stage.step("nothing happens", parameters.seconds)
    stage.watch.measure_from_now()
    stage.run_for(parameters.seconds)
    sent = stage.watch.bytes_per_node_second or 0.0
    stage.promise(sent <= MOST_BYTES_PER_SECOND, f"an idle node sends and gets {sent:.0f} bytes/s")
