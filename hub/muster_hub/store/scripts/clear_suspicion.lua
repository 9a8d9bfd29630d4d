#!lua
-- Takes the person's word that a device's data are the only copy in use.
-- KEYS: 1 device, 2 instances, 3 outbox
-- ARGV: 1 client, 2 not_after (ms), 3 connection number
-- Effect: a suspected clone is suspected no more; a device that was revoked stays so.
-- Returns: "cleared", "superseded", or the standing that it has.
-- Again: there is nothing left to clear, and the answer is the same.
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
if now_ms > tonumber(ARGV[2]) then
  return redis.error_reply('MUSTER late')
end

if redis.call('HEXISTS', KEYS[2], ARGV[3]) == 0 then
  return 'superseded'
end
local standing = redis.call('HGET', KEYS[1], 'standing') or ''
if standing == 'clone_suspected' then
  redis.call('HSET', KEYS[1], 'standing', '')
  redis.call('XADD', KEYS[3], '*', 'kind', 'record', 'data',
    cmsgpack.pack({'suspicion_cleared', ARGV[1], '', '', 'done', '', ''}))
  standing = ''
end
return standing == '' and 'cleared' or standing
