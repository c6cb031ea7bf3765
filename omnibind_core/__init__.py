"""One space for 3D shapes, sounds, images and sentences: the library under the application."""
