#!lua
-- Clears the suspicion that a device's data were copied, after its user confirmed that this is the only copy in use.
-- KEYS: 1 device, 2 instances, 3 outbox
-- ARGV: 1 not_after (ms), 2 client, 3 connection number
-- Effect: a suspected clone is suspected no more.
-- Returns: 1.
-- Errors: superseded (the connection is not current), device_revoked.
-- Again: there is nothing left to clear, and the answer is the same.
local device, instances, outbox = unpack(KEYS)
local _, client, connection = unpack(ARGV)

if redis.call('HEXISTS', instances, connection) == 0 then
  return refuse('superseded')
end
local standing = redis.call('HGET', device, 'standing') or ''
if standing == 'clone_suspected' then
  redis.call('HSET', device, 'standing', '')
  add_entry(outbox, 'record', device_record('suspicion_cleared', client, '', 'done', '', ''))
elseif standing ~= '' then
  return refuse(standing)
end
return 1
