"""How the preset mini is made: pools, pictures, sounds, shapes, routers, and what it reaches."""
