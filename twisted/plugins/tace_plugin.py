"""Tells twistd about ``tace``. Read at every start of any twistd, so it imports nothing of tace."""

from twisted.application.service import ServiceMaker

tace = ServiceMaker("tace", "tace.tap", "A node of the tace messenger.", "tace")
