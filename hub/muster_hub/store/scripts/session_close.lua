#!lua flags=allow-oom
-- Ends a session for good.
-- KEYS: 1 session, 2 judged, 3 outbox of the bucket
-- ARGV: 1 not_after (ms), 2 creator, 3 record
-- Effect: nothing is committed in the session any more; invites that were live are judged `session_closed`.
-- Returns: device and invite, in turn, of the invites that ended by this call.
-- Errors: not_a_member (the caller did not create it, or there is none).
-- Again: the session is closed and nothing is live.
-- Memory full: runs, to close must always do.
local time = redis.call('TIME')
if time[1] * 1000 + math.floor(time[2] / 1000) > tonumber(ARGV[1]) then
  return redis.error_reply('MUSTER late')
end
local session = redis.call('HMGET', KEYS[1], 'creator', 'open')
if session[1] ~= ARGV[2] then
  return redis.error_reply('MUSTER not_a_member')
end
if session[2] == '1' then
  redis.call('HSET', KEYS[1], 'open', 0)
  redis.call('XADD', KEYS[3], '*', 'kind', 'record', 'data', ARGV[3])
end
local ended, rows = {}, redis.call('HGETALL', KEYS[2])
for i = 1, #rows, 2 do
  local client = rows[i]:match('^live:(.*)$')
  if client then
    local invite = cmsgpack.unpack(rows[i + 1])[1]
    redis.call('HDEL', KEYS[2], rows[i])
    redis.call('HSET', KEYS[2], invite, 'session_closed')
    ended[#ended + 1] = client
    ended[#ended + 1] = invite
  end
end
return ended
