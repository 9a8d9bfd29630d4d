#!lua flags=allow-oom
-- Drops sessions from the index of a device.
-- KEYS: 1 session_index, 2 device
-- ARGV: 1 not_after (ms), 2 how often the device had been held before it was read that they are over for it, then the entry
--   of each: session and creator, with a space between. Nothing with the device in it is committed in these sessions over
--   a hold from before, so no restriction of the device has to reach them.
-- Effect: they are not in the index, unless the device was held since.
-- Returns: how many of them left it.
-- Again: they are not in the index any more.
-- Memory full: runs, it makes nothing larger.
local session_index, device = unpack(KEYS)
local _, held = unpack(ARGV, 1, 2)
local FIRST_SESSION = 3
if (redis.call('HGET', device, 'holds') or '0') ~= held then
  return 0
end
return redis.call('ZREM', session_index, unpack(ARGV, FIRST_SESSION))
