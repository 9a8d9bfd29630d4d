#!lua flags=no-writes
-- Reads a device's card for another device.
-- KEYS: 1 device, 2 peers
-- ARGV: 1 asker
-- Effect: none.
-- Returns: {its row about the asker or "", its card (encoded Signed) or ""}.
-- Again: it only reads.
local device, peers = unpack(KEYS)
local asker = unpack(ARGV)
return {redis.call('HGET', peers, asker) or '', redis.call('HGET', device, 'card') or ''}
