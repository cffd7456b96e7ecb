"""The hostile list of :mod:`tace.lab.attack`, each against one real node."""
