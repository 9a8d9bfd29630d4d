#!lua flags=allow-oom
-- Withdraws an invite that has not led to a seat.
-- KEYS: 1 session, 2 invite_outcomes
-- ARGV: 1 not_after (ms), 2 creator, 3 client, 4 invite
-- Effect: the invite is over; an answer to it is refused as `cancelled`.
-- Returns: how the invite ended: 'cancelled', also when it was cancelled before; 'seated', or the word of its end.
-- Errors: not_a_member (the caller did not create the session), mismatch (there is no such invite).
-- Again: the invite is found cancelled.
-- Memory full: runs, an invite can always be withdrawn.
local session, invite_outcomes = unpack(KEYS)
local _, creator, client, invite = unpack(ARGV)
if redis.call('HGET', session, 'creator') ~= creator then
  return refuse('not_a_member')
end
local live = row_in(invite_outcomes, 'live:' .. client)
if live and live[LIVE_INVITE.invite] == invite then
  redis.call('HDEL', invite_outcomes, 'live:' .. client)
  redis.call('HSET', invite_outcomes, invite, 'cancelled')
  return 'cancelled'
end
return redis.call('HGET', invite_outcomes, invite) or refuse('mismatch')
