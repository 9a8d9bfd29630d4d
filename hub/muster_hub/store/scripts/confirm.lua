#!lua flags=allow-oom
-- Records that a continuity token is on the agent's disk.
-- KEYS: 1 device
-- ARGV: 1 not_after (ms), 2 connection number, 3 counter
-- Effect: from now on a token with a lower counter reveals a copy of the device's data.
-- Returns: 1.
-- Errors: not_the_agent (another connection has the agent's seat), not_issued (a counter that was never issued).
-- Again: the counter stands there already.
local device = unpack(KEYS)
local _, connection, counter = unpack(ARGV)

local seat, confirmed, issued = unpack(redis.call('HMGET', device, 'seat', 'confirmed', 'issued'))
if seat ~= connection then
  return refuse('not_the_agent')
end
if tonumber(counter) > tonumber(issued or 0) then
  return refuse('not_issued')
end
raise_confirmed(device, tonumber(confirmed or 0), tonumber(counter))
return 1
