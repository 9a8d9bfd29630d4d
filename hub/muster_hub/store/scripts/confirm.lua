#!lua
-- Takes the agent's word that a continuity token is on its disk.
-- KEYS: 1 device
-- ARGV: 1 not_after (ms), 2 connection number, 3 counter
-- Effect: tokens with lower counters show a copy of the device's data from here on.
-- Returns: "confirmed"; "superseded" when another connection has the agent's seat; "unknown" for a counter that was
--   never issued.
-- Again: the counter stands there already.
local time = redis.call('TIME')
if time[1] * 1000 + math.floor(time[2] / 1000) > tonumber(ARGV[1]) then
  return redis.error_reply('MUSTER late')
end

local held = redis.call('HMGET', KEYS[1], 'seat', 'confirmed', 'issued')
if held[1] ~= ARGV[2] then
  return 'superseded'
end
if tonumber(ARGV[3]) > tonumber(held[3] or 0) then
  return 'unknown'
end
redis.call('HSET', KEYS[1], 'confirmed', string.format('%.0f', math.max(tonumber(held[2] or 0), tonumber(ARGV[3]))))
return 'confirmed'
