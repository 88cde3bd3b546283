"""A Pylon workspace in a box: its state, its REST API, and two ways to serve it offline."""
