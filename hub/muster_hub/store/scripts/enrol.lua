#!lua
-- Enrols a device, so that a hub that takes only those that it knows serves it.
-- KEYS: 1 enrolled, 2 outbox
-- ARGV: 1 not_after (ms), 2 client, 3 the device that invited it ('': the operator)
-- Effect: the device is enrolled, and that is recorded. One that is enrolled already stays so as it was.
-- Returns: 1 if it is new, else 0.
-- Errors: too_many_enrolled (MAX_ENROLLED of the bucket are).
-- Again: it is enrolled already.
local enrolled, outbox = unpack(KEYS)
local _, client, by = unpack(ARGV)

if redis.call('HEXISTS', enrolled, client) == 1 then
  return 0
elseif redis.call('HLEN', enrolled) >= MAX_ENROLLED then
  return refuse('too_many_enrolled')
end
redis.call('HSET', enrolled, client, pack_row(ENROLLED, {since_ms = now_ms, by = by}))
add_entry(outbox, 'record', device_record('enrolled', by, client, 'done', '', ''))
return 1
