"""Compiles the hot pure modules ahead of time where that is possible: the same source, the same behaviour, faster.

`modules` names what is compiled and says whether what lies beside the sources
still belongs to them; `build` makes it, for `make compile`; `switch` lets a
process load the sources instead. The one library that holds all compiled code
lies in this folder. Nothing of the product imports this package.
"""
