"""Recorded order flow, sent through an order session and accounted for to the last event."""
