#!lua flags=allow-oom
-- Withdraws an invite that has not led to a seat.
-- KEYS: 1 session, 2 judged
-- ARGV: 1 not_after (ms), 2 creator, 3 device, 4 invite
-- Effect: the invite is over; an answer to it hears `cancelled`.
-- Returns: 'cancelled', also when it was before; else how the invite ended, or 'mismatch' when there is none.
-- Errors: not_a_member (the caller did not create the session).
-- Again: the invite is found cancelled.
-- Memory full: runs, to withdraw must always do.
local time = redis.call('TIME')
if time[1] * 1000 + math.floor(time[2] / 1000) > tonumber(ARGV[1]) then
  return redis.error_reply('MUSTER late')
end
if redis.call('HGET', KEYS[1], 'creator') ~= ARGV[2] then
  return redis.error_reply('MUSTER not_a_member')
end
local packed = redis.call('HGET', KEYS[2], 'live:' .. ARGV[3])
if packed and cmsgpack.unpack(packed)[1] == ARGV[4] then
  redis.call('HDEL', KEYS[2], 'live:' .. ARGV[3])
  redis.call('HSET', KEYS[2], ARGV[4], 'cancelled')
  return 'cancelled'
end
return redis.call('HGET', KEYS[2], ARGV[4]) or 'mismatch'
