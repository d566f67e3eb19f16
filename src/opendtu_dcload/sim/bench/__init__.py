"""The controllers compared."""
