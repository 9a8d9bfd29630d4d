#!lua flags=no-writes
-- Reads how an invite ended.
-- KEYS: 1 session, 2 invite_outcomes
-- ARGV: 1 invite
-- Effect: none.
-- Returns: 'gone' when there is no such session; 'open' while the invite is not over; else the word of its end.
-- Again: it only reads.
local session, invite_outcomes = unpack(KEYS)
local invite = unpack(ARGV)
if redis.call('EXISTS', session) == 0 then
  return 'gone'
end
local ended = row_in(invite_outcomes, invite)
return ended and ended[ENDED_INVITE.outcome] or 'open'
