"""What binds: projectors, routers, their files, and spaces bound by text alone."""
