"""Other packages' interfaces, computed by fastbox: one import changes, the calls stay.

Each module has the name of the package that it stands in for, and is loaded only when it is imported.
"""
