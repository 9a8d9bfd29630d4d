#!lua flags=no-writes
-- Reads whether a session is over for a device: nothing is committed that has the device in it, unless it is held again.
-- KEYS: 1 session, 2 roster, 3 invite_outcomes
-- ARGV: 1 client
-- Effect: none.
-- Returns: the session's creator where the session is closed, or the device is no member and has accepted no live invite;
--   else '', also where there is no such session.
-- Again: it only reads.
local session, roster, invite_outcomes = unpack(KEYS)
local client = unpack(ARGV)
local creator, open = unpack(redis.call('HMGET', session, 'creator', 'open'))
local row, live = row_in(roster, client), row_in(invite_outcomes, 'live:' .. client)
local stays = row and row[MEMBER.state] ~= 'out' or live and live[LIVE_INVITE.state] == 'answered'
return creator and not (open == '1' and stays) and creator or ''
