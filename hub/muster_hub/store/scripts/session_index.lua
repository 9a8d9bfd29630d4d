#!lua flags=no-writes
-- Reads the sessions that a device was held for.
-- KEYS: 1 noted
-- ARGV: 1 the time (ms)
-- Effect: none.
-- Returns: those whose hard end is not past, the one that ends last first.
-- Again: it only reads.
return redis.call('ZREVRANGEBYSCORE', KEYS[1], '+inf', '(' .. ARGV[1])
