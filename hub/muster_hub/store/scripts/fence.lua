#!lua flags=no-writes
-- Tells whether a connection is one of its device's own still.
-- KEYS: 1 instances
-- ARGV: 1 connection
-- Effect: none.
-- Returns: 1 if it is, else 0.
-- Again: it only reads.
return redis.call('HEXISTS', KEYS[1], ARGV[1])
