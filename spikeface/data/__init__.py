"""What the ``data`` commands do: recordings and videos converted, looked at, verified."""
