"""What programs and agents call: HTTP (``omnibind serve``) and a local server for agents (``omnibind mcp``)."""
