#!lua
-- Records whose store this is, for ever.
-- KEYS: 1 hub: the fingerprint of the hub's key (32 bytes)
-- ARGV: 1 not_after (ms), 2 fingerprint
-- Effect: the first hub to claim the store has it.
-- Returns: 1.
-- Errors: another_hub (the store belongs to a hub with another key).
-- Again: the same fingerprint gets the same answer, and nothing changes.
local hub = unpack(KEYS)
local _, fingerprint = unpack(ARGV)
local holder = redis.call('GET', hub)
if not holder then
  redis.call('SET', hub, fingerprint)
elseif holder ~= fingerprint then
  return refuse('another_hub')
end
return 1
