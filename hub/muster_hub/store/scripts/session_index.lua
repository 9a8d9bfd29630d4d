#!lua flags=no-writes
-- Reads the sessions that a device was held for.
-- KEYS: 1 session_index
-- ARGV: none
-- Effect: none.
-- Returns: those whose hard end is not past, the one that ends last first.
-- Again: it only reads.
local session_index = unpack(KEYS)
return session_names(redis.call('ZREVRANGEBYSCORE', session_index, '+inf', '(' .. text(clock_ms())))
