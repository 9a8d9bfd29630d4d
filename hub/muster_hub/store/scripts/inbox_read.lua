#!lua flags=no-writes
-- Reads what waits in a device's inbox.
-- KEYS: 1 inbox, 2 instances
-- ARGV: none
-- Effect: none.
-- Returns: [push id and row, itself order, expires (ms), frame, of every push in turn, in no order and expired ones
--   included], [number, row of every instance in turn].
-- Again: it only reads.
return {redis.call('HGETALL', KEYS[1]), redis.call('HGETALL', KEYS[2])}
