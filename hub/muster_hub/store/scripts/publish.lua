#!lua flags=allow-oom
-- Publishes a message to one node.
-- KEYS: 1 channel of the node
-- ARGV: 1 payload
-- Effect: the subscribers of the moment receive it.
-- Returns: how many there were.
-- Again: it is received again; a message is only ever a notification, or carries its own number.
-- Untimed: the store keeps nothing of it, so a late message does no harm.
-- Volatile: the same.
local channel = unpack(KEYS)
local payload = unpack(ARGV)
return redis.call('SPUBLISH', channel, payload)
