#!lua flags=allow-oom
-- Withdraws an invite that has not led to a seat.
-- KEYS: 1 session, 2 invite_outcomes, 3 outbox of the bucket
-- ARGV: 1 not_after (ms), 2 session id, 3 creator, 4 its fingerprint, 5 client, 6 invite, 7 1 if the client is told, else 0
-- Effect: the invite is over; an answer to it is refused as `cancelled`. Where the client is told, the end of the invite
--   stands in the outbox.
-- Returns: 'done' when the invite ended by this call; else how it had ended: 'cancelled', 'seated', or another word.
-- Errors: not_a_member (the caller did not create the session), mismatch (that client has no such invite).
-- Again: the invite is found cancelled, and no device is notified twice.
-- Memory full: runs, an invite can always be withdrawn.
local session, invite_outcomes, outbox = unpack(KEYS)
local _, sid, creator, creator_fp, client, invite, told = unpack(ARGV)
if redis.call('HGET', session, 'creator') ~= creator then
  return refuse('not_a_member')
end
local live = row_in(invite_outcomes, 'live:' .. client)
if not live or live[LIVE_INVITE.invite] ~= invite then
  return outcome_of(invite_outcomes, client, invite) or refuse('mismatch')
end
end_invite(invite_outcomes, client, invite, 'cancelled', '')
if told == '1' then
  add_entry(outbox, 'invite_end', pack_row(INVITE_END, {session = sid, client = client, invite = invite,
    creator = creator, creator_key = creator_fp, reason = 'cancelled'}))
end
return 'done'
