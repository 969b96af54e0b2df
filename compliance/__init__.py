"""Compliance: the audit log as a transparency log, and the history of the journal in SQL.

It follows the events of matching and changes nothing anywhere else.
"""
