"""One file for each tab: ``TITLE``, ``build(service, examples)`` and ``wire(demo, tab, service, parts)``."""
