#!lua flags=allow-oom
-- Ends a session for good.
-- KEYS: 1 session, 2 invite_outcomes, 3 outbox of the bucket
-- ARGV: 1 not_after (ms), 2 session id, 3 creator, 4 its fingerprint, 5 record
-- Effect: nothing is committed in the session any more; invites that were live end as `session_closed`, and the end of
--   each stands in the outbox.
-- Returns: client and invite, in turn, of the invites that ended by this call.
-- Errors: not_a_member (the caller did not create it, or there is none).
-- Again: the session is closed and nothing is live.
-- Memory full: runs, a session can always be closed.
local session, invite_outcomes, outbox = unpack(KEYS)
local _, sid, caller, caller_fp, record = unpack(ARGV)

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
    end_invite(invite_outcomes, client, invite, 'session_closed', '')
    add_entry(outbox, 'invite_end', pack_row(INVITE_END, {session = sid, client = client, invite = invite,
      creator = caller, creator_key = caller_fp, reason = 'session_closed'}))
    ended[#ended + 1] = client
    ended[#ended + 1] = invite
  end
end
return ended
