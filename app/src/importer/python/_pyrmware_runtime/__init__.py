"""The Python half of the launcher's importer: what is asked for rarely.

The other half is the module `_pyrmware`, made by the launcher before anything is imported.
"""
