#!lua flags=no-writes
-- Reads a device's card for somebody who asks.
-- KEYS: 1 device, 2 peers
-- ARGV: 1 asker
-- Returns: {its row about the asker or "", its card (encoded Signed) or ""}.
-- Again: it only reads.
return {redis.call('HGET', KEYS[2], ARGV[1]) or '', redis.call('HGET', KEYS[1], 'card') or ''}
