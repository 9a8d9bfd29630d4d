#!lua flags=allow-oom
-- Says something to one node.
-- KEYS: 1 sharded channel of the node
-- ARGV: 1 payload
-- Effect: whoever listens on the channel just now hears it.
-- Returns: how many listened.
-- Again: it is heard again; what is said is only ever a notify, or carries its own number. So it takes no not_after.
-- Volatile: nothing is kept.
return redis.call('SPUBLISH', KEYS[1], ARGV[1])
