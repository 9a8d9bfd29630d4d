"""The connections of this node, the bus to the other nodes, and the caller of a request."""
