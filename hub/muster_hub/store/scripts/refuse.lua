#!lua
-- Refuses an epoch for those newcomers who stand in its way: whoever hears that knows that it is not committed later.
-- KEYS: 1 session, 2 epochs, 3 judged
-- ARGV: 1 not_after (ms), 2 hash of the epoch, then for each who stands in the way: client, invite, reason
-- Effect: the live invite of each notes the epoch and the reason, for the script `commit` of another request for the same;
--   one without a live invite is not committed anyway. Another epoch may still seat them.
-- Returns: 'refused', or 'committed' when the epoch was committed before; then nothing changes.
-- Again: the same is noted once more.
local time = redis.call('TIME')
if time[1] * 1000 + math.floor(time[2] / 1000) > tonumber(ARGV[1]) then
  return redis.error_reply('MUSTER late')
end
if redis.call('EXISTS', KEYS[1]) == 1 and redis.call('HEXISTS', KEYS[2], 'h:' .. ARGV[2]) == 1 then
  return 'committed'
end
for i = 3, #ARGV, 3 do
  local packed = redis.call('HGET', KEYS[3], 'live:' .. ARGV[i])
  local live = packed and cmsgpack.unpack(packed)
  if live and live[1] == ARGV[i + 1] then
    local noted = cmsgpack.pack({live[1], live[2], live[3], live[4], ARGV[2], ARGV[i + 2]})
    redis.call('HSET', KEYS[3], 'live:' .. ARGV[i], noted)
  end
end
return 'refused'
