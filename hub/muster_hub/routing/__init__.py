"""The connections of this node, the messages between nodes, and the caller of a request."""
