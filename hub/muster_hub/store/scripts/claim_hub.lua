#!lua
-- Writes down whose store this is, once and for ever.
-- KEYS: 1 hub, a string: the fingerprint of the hub's key (32 bytes)
-- ARGV: 1 fingerprint, 2 not_after (ms)
-- Effect: the first hub to come is the store's hub.
-- Returns: 1 when the store is this hub's, 0 when it is another one's.
-- Again: the same fingerprint gets the same answer, and nothing changes.
local time = redis.call('TIME')
if time[1] * 1000 + math.floor(time[2] / 1000) > tonumber(ARGV[2]) then
  return redis.error_reply('MUSTER late')
end
local holder = redis.call('GET', KEYS[1])
if holder then
  return holder == ARGV[1] and 1 or 0
end
redis.call('SET', KEYS[1], ARGV[1])
return 1
