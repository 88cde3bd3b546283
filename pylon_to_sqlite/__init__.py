"""Mirror a Pylon (usepylon.com) workspace into one SQLite file."""
