#!lua flags=allow-oom
-- Ends a session for good.
-- KEYS: 1 session, 2 invite_outcomes, 3 outbox of the bucket
-- ARGV: 1 not_after (ms), 2 creator, 3 record
-- Effect: nothing is committed in the session any more; invites that were live end as `session_closed`.
-- Returns: client and invite, in turn, of the invites that ended by this call.
-- Errors: not_a_member (the caller did not create it, or there is none).
-- Again: the session is closed and nothing is live.
-- Memory full: runs, a session can always be closed.
local session, invite_outcomes, outbox = unpack(KEYS)
local _, caller, record = unpack(ARGV)

local creator, open = unpack(redis.call('HMGET', session, 'creator', 'open'))
if creator ~= caller then
  return refuse('not_a_member')
end
if open == '1' then
  redis.call('HSET', session, 'open', 0)
  add_entry(outbox, 'record', record)
end
local ended, rows = {}, redis.call('HGETALL', invite_outcomes)
for i = 1, #rows, 2 do
  local client = rows[i]:match('^live:(.*)$')
  if client then
    local invite = cmsgpack.unpack(rows[i + 1])[LIVE_INVITE.invite]
    redis.call('HDEL', invite_outcomes, rows[i])
    redis.call('HSET', invite_outcomes, invite, 'session_closed')
    ended[#ended + 1] = client
    ended[#ended + 1] = invite
  end
end
return ended
