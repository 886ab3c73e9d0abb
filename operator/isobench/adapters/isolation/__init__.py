"""Where arms run: namespaces, containers, the probe's start, the machine's lock."""
